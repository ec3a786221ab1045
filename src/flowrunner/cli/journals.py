"""The journal that a command reads: looking into one makes none."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from flowrunner.errors import ConfigError
from flowrunner.journal import Journal, default_path

if TYPE_CHECKING:
    from flowrunner.cli.options import JournalPlace
    from flowrunner.journal.values import Entry

__all__ = ["journal_is_there", "submissions"]


def journal_is_there(journal: JournalPlace) -> bool:
    """Whether there is something to read.

    Raises:
        ConfigError: there is no such file where one was named, so what was submitted is written down elsewhere.
    """
    if journal is False:
        return True  # whoever needs one says so
    place = _place(journal)
    try:
        is_there = place.exists()
    except OSError:  # the journal says why it cannot be used
        return True
    if not is_there and journal is not True:
        raise ConfigError(
            f"there is no journal {str(place)!r}: name the file that submissions were written into, by --journal or"
            " $FLOWRUNNER_JOURNAL, or leave both out for the one in the user's state folder"
        )
    return is_there


def submissions(connection: str, journal: JournalPlace) -> list[Entry]:
    """What was submitted on a connection, newest first, without what the vendor refused.

    Raises:
        ConfigError: no journal is to be used, or there is none where one was named.
        JournalError: it cannot be read.
    """
    if journal is False:
        raise ConfigError("what was started is read from a journal: name one instead of `--journal none`")
    if not journal_is_there(journal):
        return []
    with closing(Journal.open(_place(journal))) as opened:
        return [entry for entry in opened.entries(connection=connection) if not entry.is_refused]


def _place(journal: str | bool) -> Path:  # noqa: FBT001 - as the option gives it
    return default_path() if journal is True else Path(str(journal))
