"""What was submitted: a file that survives any crash, shared by processes and threads.

An intent is written before its request leaves, and the vendor's id before the caller sees it: whatever kills the
process in between, the next one finds what may have been started. Nothing here knows a vendor, a client or a network.
"""

from __future__ import annotations

from flowrunner.journal.place import default_path
from flowrunner.journal.store import Journal
from flowrunner.journal.values import Change, Entry, Intent

__all__ = ["Change", "Entry", "Intent", "Journal", "default_path"]
