"""Where the journal may lie, and who may read it."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from flowrunner.errors import JournalError
from flowrunner.journal import Journal, place
from flowrunner.models import RunStatus

FOUND = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw
30 27 0:30 / /home rw,relatime shared:7 - nfs4 server:/home rw,vers=4.2
31 30 254:1 / /home/me/local rw,relatime - xfs /dev/vdb rw
32 27 0:32 / /mnt/my\\040drive rw,relatime - cifs //server/share rw
33 27 0:33 / /data rw,relatime - nfs server:/data rw
34 33 254:2 / /data rw,relatime - ext4 /dev/vdc rw
broken - x
and this has no separator at all, but is longer
"""


def rights(path):
    """Who may do what with a file."""
    return path.stat().st_mode & 0o777


def test_only_the_owner_may_read(opened, path, intent):
    """The folder is made for its owner, and so is everything in it."""
    journal = opened()
    journal.intend(intent(digest=journal.digest("f", None, None, None)))
    assert rights(path.parent) == 0o700
    assert {file.name: rights(file) for file in path.parent.iterdir()} == dict.fromkeys(
        ["journal.sqlite3", "journal.sqlite3-wal", "journal.sqlite3-shm", "journal.sqlite3.key"], 0o600
    )


def test_folders_above_are_ordinary(opened, tmp_path):
    """Of several folders that are missing the last one is closed, and one that was there stays as it was."""
    opened(tmp_path / "a" / "b" / "journal")
    tmp_path.chmod(0o755)
    opened(tmp_path / "journal")
    assert rights(tmp_path) == 0o755
    assert rights(tmp_path / "a") & 0o700 == 0o700
    assert rights(tmp_path / "a" / "b") == 0o700


def test_others_lose_their_rights(opened, path, intent):
    """Files that others could read are closed to them when the journal is opened."""
    journal = opened()
    journal.intend(intent(digest=journal.digest("f", None, None, None)))
    for file in path.parent.iterdir():
        file.chmod(0o664)
    opened()
    assert {rights(file) for file in path.parent.iterdir()} == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make the file of somebody else")
def test_the_file_of_somebody_else(modest):
    """One that we may write to and cannot close to others is refused."""
    os.seteuid(0)
    with closing(Journal.open(modest / "journal")):
        pass
    (modest / "journal").chmod(0o666)
    os.seteuid(65534)
    with pytest.raises(JournalError, match="Operation not permitted; name a file of your own"):
        Journal.open(modest / "journal")


@pytest.mark.parametrize("content", [b"root:x:0:0:root:/root:/bin/bash\n" * 20, None])
def test_files_of_other_programs_are_left_alone(tmp_path, content):
    """What is no journal keeps its rights and its content."""
    path = tmp_path / "other"
    if content is None:
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE t (x)")
    else:
        path.write_bytes(content)
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(JournalError, match="name another file"):
        Journal.open(path)
    assert rights(path) == 0o644
    assert path.read_bytes() == before


def refused(path):
    """Why a journal is refused."""
    with pytest.raises(JournalError) as caught:
        Journal.open(path)
    return caught.value.message


def test_what_is_no_file(tmp_path):
    """A folder, a device or a pipe is not used, and stays as it is."""
    (tmp_path / "folder").mkdir(mode=0o755)
    os.mkfifo(tmp_path / "pipe", 0o644)
    for each in (tmp_path / "folder", tmp_path / "pipe", Path(os.devnull)):
        before = each.stat().st_mode
        assert refused(each) == (
            f"the journal {str(each)!r} cannot be used: it is a folder, or a device; name a file of your own, in a"
            " folder that you may write to"
        )
        assert each.stat().st_mode == before


def test_what_cannot_be_a_file(tmp_path):
    """Each says what is wrong and names the path."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "File exists" in refused(tmp_path / "file" / "journal")
    assert "File exists" in refused(tmp_path / "file" / "folder" / "journal")
    assert "loop' cannot be used: it is a folder, or a device" in refused(tmp_path / "loop")
    assert "File name too long" in refused(tmp_path / ("x" * 300))
    assert "is not a path: embedded null byte; name a file" in refused("a\0b")


def test_a_folder_that_cannot_be_written_to(modest):
    """Neither a new file nor the log of one that is there can be made."""
    with closing(Journal.open(modest / "journal")):
        pass
    modest.chmod(0o500)
    assert "Permission denied; name a file of your own, in a folder that you may write to" in refused(modest / "new")
    assert "it, and its folder, must be writable for this user" in refused(modest / "journal")
    modest.chmod(0o700)


@pytest.mark.parametrize("made", [False, True])
def test_a_file_that_cannot_be_written_to(modest, made):
    """It is found out when it is opened, not when the first run is submitted."""
    path = modest / "journal"
    if made:
        with closing(Journal.open(path)):
            pass
    path.touch()
    path.chmod(0o400)
    assert refused(path) == (
        f"the journal {str(path)!r} cannot be used: attempt to write a readonly database; it, and its folder, must be"
        " writable for this user"
    )


def test_a_corrupt_file(opened, path, intent):
    """A damaged page is an error that says what to do; nothing is repaired behind one's back."""
    journal = opened()
    for number in range(100):
        journal.intend(intent(f"k{number}"))
    journal.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    with pytest.raises(JournalError, match=r"is malformed; move it and the files beside it away"):
        opened().entries()
    path.write_bytes(b"\xa5" * 4096)
    with pytest.raises(JournalError, match="file is not a database; name another file, or move this one away"):
        opened()


def test_a_full_database(journal, intent):
    """What does not fit is an error, nothing of it is kept, and what was there can be read."""
    db = journal._database._connection
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(JournalError, match="database or disk is full; make room there"):
        journal.intend(intent(hint={"x": "y" * 100_000}))
    assert journal.entries() == []


DISKS = """
import errno, sys
from datetime import UTC, datetime
from pathlib import Path
from flowrunner.errors import JournalError
from flowrunner.journal import Intent, Journal
from flowrunner.models import RunStatus

folder = Path(sys.argv[1])
filler = folder / "filler"

def fill():
    with filler.open("wb", buffering=0) as file:
        size = 65536
        while size:
            try:
                file.write(b"x" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
                size //= 2

def intent(number):
    return Intent(connection="c", backend="b", flow="f", key=f"k{number}", digest="d:1", at=datetime.now(UTC))

fill()
try:
    Journal.open(folder / "late")
except JournalError as error:
    print("opening:", error)
filler.unlink()

journal = Journal.open(folder / "journal")
known = []
while len(known) < 10_000:
    if len(known) == 50:
        fill()
    try:
        entry = journal.intend(intent(len(known)))
        known.append(entry.key)
        journal.accepted(entry, entry.key, RunStatus())
    except JournalError as error:
        print("writing:", error)
        break
assert [entry.key for entry in journal.entries()][::-1] == known, "what was promised is there, and nothing else"
filler.unlink()
assert journal.intend(intent("after")).is_new
journal.close()
print("went on with", len(Journal.open(folder / "journal").entries()) - len(known))
"""

READ_ONLY = """
import sys
from pathlib import Path
from flowrunner.errors import JournalError
from flowrunner.journal import Journal
try:
    Journal.open(Path(sys.argv[1]) / "journal")
except JournalError as error:
    print(error)
"""


def on_a_disk(folder, options, script):
    """What a script prints that runs with a small file system of its own in a folder."""
    command = f'mount -t tmpfs -o {options} tmpfs "$0" && exec "$1" -c "$2" "$0"'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", command, folder, sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def disk(tmp_path):
    """A folder on which a file system can be mounted."""
    if shutil.which("unshare") is None or on_a_disk(tmp_path, "size=1m", "").returncode:
        pytest.skip("no file system can be mounted here")
    return tmp_path


def test_a_full_disk(disk):
    """It is told when the journal is opened and when it is written; what was promised stays, and it goes on later."""
    done = on_a_disk(disk, "size=4m", DISKS)
    assert done.stderr == ""
    opening, writing, went_on = done.stdout.splitlines()
    assert opening == f"opening: the journal '{disk}/late' cannot be used: database or disk is full; make room there"
    assert writing.startswith(f"writing: the journal '{disk}/journal' cannot be used: ")
    assert went_on == "went on with 1"


def test_a_read_only_disk(disk):
    """No journal can be made there, and the text says so."""
    done = on_a_disk(disk, "size=1m,ro", READ_ONLY)
    assert done.stderr == ""
    assert f"the journal '{disk}/journal' cannot be used: Read-only file system; name a file" in done.stdout


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/home", "nfs4"),
        ("/homes", "ext4"),
        ("/home/me/.local/state", "nfs4"),
        ("/home/me/local/x", "xfs"),
        ("/mnt/my drive/x", "cifs"),
        ("/data/x", "ext4"),
    ],
)
def test_the_file_system_of_a_folder(folder, kind):
    """It is that of the innermost mount around it, of two on one point the later."""
    assert place.file_system(Path(folder), FOUND) == kind


def test_a_system_that_does_not_tell():
    """Without mounts nothing is known."""
    assert place.file_system(Path("/home"), "") is None


def test_this_machine_tells():
    """What the kernel writes is understood: the root has a file system."""
    mounts = Path("/proc/self/mountinfo")
    if not mounts.exists():
        pytest.skip("only Linux tells")
    assert place.file_system(Path("/"), mounts.read_text())
    assert place.file_system(Path("/proc/self"), mounts.read_text()) == "proc"


@pytest.mark.parametrize("kind", sorted(place.SHARED))
def test_shared_file_systems_are_refused(tmp_path, monkeypatch, kind):
    """Where several machines, or kernels, share the files SQLite loses commits: no journal is made there."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 1 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:2 / {tmp_path} rw - {kind} server:/x rw\n")
    monkeypatch.setattr(place, "_MOUNTS", mounts)
    assert refused(tmp_path / "journal") == (
        f"the journal {str(tmp_path / 'journal')!r} is on a file system that is shared between machines ({kind}), where"
        " SQLite can lose what was committed: name a file on a local disk"
    )
    assert not (tmp_path / "journal").exists()


def test_a_link_to_a_shared_file_system(tmp_path, monkeypatch):
    """Where the file is counts, not where its name is."""
    (tmp_path / "server").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "server" / "journal")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"2 1 0:2 / {tmp_path}/server rw - nfs4 server:/x rw\n")
    monkeypatch.setattr(place, "_MOUNTS", mounts)
    assert "(nfs4)" in refused(tmp_path / "link")


def test_where_the_system_does_not_tell_it_is_allowed(opened, path, monkeypatch):
    """Other systems than Linux do not say what a mount is."""
    monkeypatch.setattr(place, "_MOUNTS", path / "missing")
    assert opened().entries() == []


def test_a_system_without_folders_to_sync(opened, monkeypatch, intent):
    """Where a folder cannot be opened, as on Windows, its names are left to the system."""
    monkeypatch.delattr(os, "O_DIRECTORY")
    entry = opened().intend(intent())
    assert opened().accepted(entry, "7", RunStatus()).run_id == "7"
