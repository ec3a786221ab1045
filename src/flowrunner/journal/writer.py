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
    from collections.abc import Callable

    from flowrunner.journal.store import Journal

    Change = Callable[[Journal], None]

__all__ = ["OpenedOnce", "Writer"]

logger = logging.getLogger(__name__)


class OpenedOnce:
    """A journal that is opened when it is first needed: that may take a while, and belongs on no event loop.

    Args:
        open_journal: opens it.
    """

    def __init__(self, open_journal: Callable[[], Journal]) -> None:
        self._open = open_journal
        self._lock = threading.Lock()
        self._journal: Journal | None = None

    def __call__(self) -> Journal:
        """The journal, open.

        Raises:
            JournalError: it cannot be used.
        """
        with self._lock:
            if self._journal is None:
                self._journal = self._open()
            return self._journal

    def close(self) -> None:
        """Close it, if it was opened."""
        if self._journal is not None:
            self._journal.close()


class Writer:
    """Writes changes in the order in which they were seen, by a thread that lives while there are some.

    Args:
        journal: where to.
    """

    def __init__(self, journal: Callable[[], Journal]) -> None:
        self._journal = journal
        self._pid = os.getpid()
        self._begin()

    def _begin(self) -> None:
        self._changes: deque[Change] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failed = False

    def put(self, change: Change) -> None:
        """Have a change written."""
        if self._pid != os.getpid():  # the parent's thread is not here, and its lock may be held for ever
            self._pid = os.getpid()
            self._begin()
        with self._lock:
            self._changes.append(change)
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._write, name="flowrunner journal", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the machine gives no more threads, or the interpreter ends
            self._complain(str(error))
        else:
            self._thread = thread

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
                change(self._journal())
            except JournalError as error:
                self._complain(error.message)

    def _complain(self, problem: str) -> None:
        """Say so once: the next submission, which cannot do without the journal, says it to the caller."""
        if not self._failed:
            logger.warning("how runs go is not written into the journal: %s", problem, extra={"problem": problem})
        self._failed = True
