"""Files that appear whole or not at all."""

import pytest

from flowrunner.files import Partial


def names(folder):
    """What is in a folder, hidden files included."""
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_appears_when_it_is_whole(tmp_path):
    """While it is written the name is free; then it holds all that was written, and nothing is beside it."""
    final = tmp_path / "out.zip"
    with Partial(final) as partial:
        partial.write(b"one ")
        partial.write(b"two")
        assert not final.exists()
        assert len(names(tmp_path)) == 1
    assert final.read_bytes() == b"one two"
    assert names(tmp_path) == ["out.zip"]


def test_an_empty_file_is_a_file(tmp_path):
    """Nothing written is a whole file, too."""
    with Partial(tmp_path / "empty"):
        pass
    assert (tmp_path / "empty").read_bytes() == b""


def test_what_was_there_is_replaced(tmp_path):
    """An existing file is kept until the new one is whole."""
    final = tmp_path / "out.zip"
    final.write_bytes(b"old")
    with Partial(final) as partial:
        partial.write(b"new")
        assert final.read_bytes() == b"old"
    assert final.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_exception_leaves_nothing(tmp_path, error, old):
    """Whatever ends the writing early, what was there stays, and nothing else is left."""
    final = tmp_path / "out.zip"
    if old is not None:
        final.write_bytes(old)

    def write():
        with Partial(final) as partial:
            partial.write(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert names(tmp_path) == ([] if old is None else ["out.zip"])
    assert old is None or final.read_bytes() == old


def enter(final):
    """Write a byte."""
    with Partial(final) as partial:
        partial.write(b"x")


@pytest.mark.parametrize("parent", ["missing", "file"])
def test_a_folder_that_cannot_be_written_to(tmp_path, parent):
    """Where no file can be made the error says so at once, without the name that nobody gave, and nothing is left."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=f"there is no such folder to write to: '{tmp_path / parent}'$"):
        enter(tmp_path / parent / "out.zip")
    assert names(tmp_path) == ["file"]


def test_a_name_that_cannot_be_taken(tmp_path):
    """A folder of that name is not replaced, and nothing is left beside it."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_bytes(b"")
    with pytest.raises(OSError):
        enter(tmp_path / "out")
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["kept"]


def test_a_disk_that_is_full_at_last(tmp_path):
    """What is still buffered may not fit: then there is no file."""

    class Full:
        """A file whose last bytes do not fit."""

        def close(self):
            """As the system does it."""
            raise OSError(28, "No space left on device")

    def write():
        with Partial(tmp_path / "out") as partial:
            partial._file.close()
            partial._file = Full()

    with pytest.raises(OSError, match="No space left"):
        write()
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a" * 255, "語" * 85, "🐢" * 63, ".hidden", "ö ä"])
def test_every_name_the_system_takes_is_taken(tmp_path, name):
    """A name may be as long as the system allows, in any script."""
    enter(tmp_path / name)
    assert names(tmp_path) == [name]


def test_two_writers_do_not_meet(tmp_path):
    """Two downloads to one name each write a file of their own; the one that ends last stays."""
    final = tmp_path / "out"
    with Partial(final) as first:
        with Partial(final) as second:
            second.write(b"second")
            first.write(b"first")
        assert final.read_bytes() == b"second"
    assert final.read_bytes() == b"first"
    assert names(tmp_path) == ["out"]
