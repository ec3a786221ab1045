"""Changes of runs on their way into the journal: whoever sees one goes on at once, and a thread writes it down.

A change that is lost with the process is no loss: the vendor is asked again.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from typing import TYPE_CHECKING

from flowrunner.errors import JournalError

if TYPE_CHECKING:
    from flowrunner.journal.store import Journal
    from flowrunner.models import RunRef, RunStatus

__all__ = ["Writer"]

logger = logging.getLogger(__name__)


class Writer:
    """Writes changes in the order in which they were seen, by a thread that lives while there are some.

    Args:
        journal: where to.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._pid = os.getpid()
        self._begin()

    def _begin(self) -> None:
        self._changes: deque[tuple[RunRef, RunStatus]] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failed = False

    def put(self, ref: RunRef, status: RunStatus) -> None:
        """Have a change written."""
        if self._pid != os.getpid():  # the parent's thread is not here, and its lock may be held for ever
            self._pid = os.getpid()
            self._begin()
        with self._lock:
            self._changes.append((ref, status))
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="flowrunner journal", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Wait until everything is written."""
        thread = self._thread
        if thread is not None and self._pid == os.getpid():
            thread.join()

    def _write(self) -> None:
        while True:
            with self._lock:
                if not self._changes:
                    self._thread = None
                    return
                change = self._changes.popleft()
            try:
                self._journal.changed(*change)
            except JournalError as error:
                self._complain(error)

    def _complain(self, error: JournalError) -> None:
        """Say so once: the next submission, which cannot do without the journal, says it to the caller."""
        if not self._failed:
            logger.warning("how runs go is not written into the journal: %s", error.message)
        self._failed = True
