"""Where the journal may lie, and who may read it."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowrunner.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SHARED", "close_to_others", "default_path", "file_system", "make_file", "prepare", "real", "sync_folder"]

SHARED: Final = frozenset({
    # served by another machine: file locks are missing, late or lost with the server, and memory is not shared at all
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "coda", "ceph", "lustre", "gpfs", "beegfs", "orangefs",
    "fuse.sshfs", "fuse.ceph", "fuse.glusterfs", "fuse.davfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse",
    "fuse.goofys", "fuse.mount-s3", "fuse.blobfuse", "fuse.blobfuse2", "fuse.juicefs", "fuse.curlftpfs",
    # a disk that several machines write to: the same
    "gfs2", "ocfs2",
    # a folder of the machine around a virtual one: the two kernels do not see each other's locks and memory
    "9p", "virtiofs", "vboxsf", "vmhgfs", "fuse.vmhgfs-fuse", "prl_fs", "fuse.grpcfuse", "fuse.osxfs",
})  # fmt: skip
"""File systems, by Linux's names, where the journal is refused: SQLite's log needs locks, and memory mapped by all who
use it, and without them loses what was committed. A `fuse.` that is not here may be a local one and is accepted."""

_MOUNTS: Final = Path("/proc/self/mountinfo")


def default_path() -> Path:
    """The journal in the user's state folder."""
    from platformdirs import user_state_path

    return user_state_path("flowrunner") / "journal.sqlite3"


def real(path: str | os.PathLike[str]) -> Path:
    """The file itself, wherever links lead: what SQLite and we put beside it is the same for all who open it.

    Raises:
        JournalError: it is no path.
    """
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:
        raise JournalError(f"the journal {str(path)!r} is not a path: {error}; name a file") from error


def prepare(path: Path) -> None:
    """Make the folder and the file, where they are missing.

    Args:
        path: as `real` gives it.

    Raises:
        JournalError: the file system is refused, something else is in the place of the file, or the system refuses.
    """
    with _told(path):
        _make_folder(path.parent)
        _refuse_shared(path)
        make_file(path)
        if not path.is_file():
            raise OSError(errno.EINVAL, "it is a folder, or a device")


def close_to_others(path: Path) -> None:
    """Take the rights of all but the owner away, from the journal and what lies beside it.

    They are taken, not complained about: the remedy would be the same, and what could be read holds no secrets.

    Raises:
        JournalError: it belongs to somebody else.
    """
    for suffix in ("", "-wal", "-shm", ".key"):
        each = path.with_name(path.name + suffix)
        with _told(each), suppress(FileNotFoundError):
            mode = stat.S_IMODE(each.stat().st_mode)
            if mode & 0o077 and os.name == "posix":
                each.chmod(mode & 0o700)


def make_file(path: Path, content: bytes = b"") -> None:
    """A file that its owner alone may read, unless there is one of that name.

    One that exists is not opened: closing it would drop all locks that SQLite has on it in this process.
    """
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can do that to a folder."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_system(folder: Path, mounts: str) -> str | None:
    """What kind of file system a folder is on, from the text of Linux's `mountinfo`; None where it does not tell."""
    found, kind = "", None
    for line in mounts.splitlines():
        left, separator, right = line.partition(" - ")
        fields = left.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = _unescaped(fields[4])
        # Of mounts on one point the last covers those before it.
        if folder.is_relative_to(point) and len(point) >= len(found):
            found, kind = point, right.split(" ")[0]
    return kind


def _unescaped(point: str) -> str:
    """A mount point with spaces and the like as they are: the kernel writes them as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)


def _refuse_shared(path: Path) -> None:
    if not _MOUNTS.exists():
        return
    # Bytes that are no UTF-8 stand for themselves, as in the path.
    mounts = _MOUNTS.read_text("utf-8", "surrogateescape")
    kind = file_system(path.parent, mounts)
    if kind in SHARED:
        raise JournalError(
            f"the journal {str(path)!r} is on a file system that is shared between machines ({kind}), where SQLite can"
            " lose what was committed: name a file on a local disk"
        )


def _make_folder(folder: Path) -> None:
    """The folder, for its owner alone. One that is there stays as it is, and so do the folders above."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the system raises, as a `JournalError`."""
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"the journal {str(path)!r} cannot be used: {error.strerror}; name a file of your own, in a folder"
            " that you may write to"
        ) from error
