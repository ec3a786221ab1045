"""What the exit code of a command says. `flowrunner --help` prints this table."""

from __future__ import annotations

from enum import IntEnum
from typing import Self

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """How a command ended.

    Attributes:
        meaning: the sentence that the help texts show.
    """

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """A member is its number; the sentence comes along."""
        self = int.__new__(cls, code)
        self._value_ = code
        self.meaning = meaning
        return self

    SUCCEEDED = 0, "the run succeeded; without waiting: the vendor did as asked"
    ERROR = 1, "an unexpected error, or a demo that did not go as planned"
    USAGE = 2, "the arguments, the configuration, the parameters or the request are wrong"
    FAILED = 3, "the run failed"
    CANCELLED = 4, "the run was cancelled"
    WAITING = 5, "the run waits for a person"
    TIMEOUT = 6, "the run goes on: --timeout ended the wait, or it has no result yet"
    CONTACT_LOST = 7, "the vendor cannot be reached, or its answers make no sense"
    DENIED = 8, "the credential was not accepted, or may not do this"
    NOT_FOUND = 9, "the vendor knows no such flow or run"
    UNCERTAIN = 10, "it is not known, or not written down, whether the submission started a run"
    LOST = 11, "the vendor no longer knows the run"
    TOO_LATE = 12, "the run had ended before it could be cancelled"
    INTERRUPTED = 130, "Ctrl-C or SIGTERM ended the command; the run goes on"
