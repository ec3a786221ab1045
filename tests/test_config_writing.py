"""Adding a connection to a file, and keeping a credential where the file refers to it."""

import os
import stat
import sys
import tomllib

import keyring
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keyring.backend import KeyringBackend

from flowrunner.config.writing import (
    connection_names,
    keep_in_file,
    keep_in_keyring,
    place_of,
    write_connection,
)
from flowrunner.errors import ConfigError
from flowrunner.secret import Secret

TOKEN = Secret("s3cret")
SETTINGS = {"backend": "fme-flow", "base_url": "https://x.example", "token": {"env": "T"}}


def mode(path):
    """Who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing but a comment\n",
        '# mine\n[connections.old] # keep\nbackend = "invision"  # and this\n\n# the end',
        '[connections.old.status_map]\nA = "running"\n',
        "[connections]\n",
        'connections.old.backend = "invision"\n',
        'connections = { old = { backend = "invision" } }\n',
        '\ufeff[connections.old]\r\nbackend = "invision"\r\n',
    ],
)
def test_a_connection_is_added_and_the_rest_stays(tmp_path, text):
    """Every comment and every other connection is there afterwards."""
    path = tmp_path / "flowrunner.toml"
    path.write_bytes(text.encode())
    write_connection(path, "prod", SETTINGS)

    written = path.read_text()
    before = tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    assert tomllib.loads(written)["connections"] == {**before.get("connections", {}), "prod": SETTINGS}
    assert all(line.partition("#")[2] in written for line in text.splitlines())


def test_a_pyproject_is_written_below_its_table(tmp_path):
    """And what else it has stays."""
    path = tmp_path / "pyproject.toml"
    path.write_text('[project]\nname = "x" # why\n\n[tool.other]\na = 1\n')
    write_connection(path, "prod", SETTINGS)

    said = tomllib.loads(path.read_text())
    assert said["tool"] == {"other": {"a": 1}, "flowrunner": {"connections": {"prod": SETTINGS}}}
    assert "# why" in path.read_text()
    assert connection_names(path) == ["prod"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=5)), max_size=4))
def test_any_name_and_value_come_back(tmp_path, entries):
    """Whatever a name or a setting consists of, the file says it again."""
    path = tmp_path / "flowrunner.toml"
    path.unlink(missing_ok=True)
    expected = {}
    for name, value in entries:
        if all(not "\ud800" <= each <= "\udfff" for each in name + value):
            write_connection(path, name, {"backend": value})
            expected[name] = {"backend": value}
    assert connection_names(path) == list(expected)
    assert not expected or tomllib.loads(path.read_text())["connections"] == expected


def test_a_connection_is_replaced_as_a_whole(tmp_path):
    """Settings of another backend would be unknown to the new one."""
    path = tmp_path / "flowrunner.toml"
    path.write_text('[connections.prod]\nold = 1\n[connections.prod.status_map]\nA = "running"\n[connections.b]\n')
    write_connection(path, "prod", SETTINGS)
    assert tomllib.loads(path.read_text()) == {"connections": {"prod": SETTINGS, "b": {}}}


def test_what_nothing_can_be_added_to_stays_as_it_is(tmp_path):
    """A file of another shape is left alone, and the credential is not shown."""
    path = tmp_path / "flowrunner.toml"
    path.write_text("connections = 3\n")
    with pytest.raises(ConfigError, match=r"write \[connections.prod\] yourself") as caught:
        write_connection(path, "prod", {"token": "s3cret"})
    assert path.read_text() == "connections = 3\n"
    assert "s3cret" not in str(caught.value)
    assert connection_names(path) == []


def test_what_the_library_for_toml_gets_wrong_is_not_written(tmp_path, monkeypatch):
    """What it wrote is read again first, by another parser."""
    path = tmp_path / "flowrunner.toml"
    path.write_text("# mine\n")
    monkeypatch.setattr("tomlkit.dumps", lambda _document: "[connections.other]")
    with pytest.raises(ConfigError, match="nothing can be added to"):
        write_connection(path, "prod", SETTINGS)
    assert path.read_text() == "# mine\n"


@pytest.mark.parametrize(
    ("content", "problem"), [(b"x = ?", "is not TOML"), (b"\xff", "not UTF-8"), (None, "cannot be")]
)
def test_a_file_that_cannot_be_read_is_not_written(tmp_path, content, problem):
    """It is said why."""
    path = tmp_path / "flowrunner.toml"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigError, match=problem):
        write_connection(path, "prod", SETTINGS)


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_the_rights_of_a_file_stay(tmp_path):
    """Unless it has a credential in it now."""
    path = tmp_path / "flowrunner.toml"
    path.write_text("")
    path.chmod(0o640)
    write_connection(path, "prod", SETTINGS)
    assert mode(path) == 0o640
    write_connection(path, "prod", {"token": "s3cret"}, is_private=True)
    assert mode(path) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["flowrunner.toml"]


def test_a_link_leads_to_the_file(tmp_path):
    """Whoever keeps the file elsewhere finds it changed there."""
    real = tmp_path / "real.toml"
    real.write_text("")
    link = tmp_path / "flowrunner.toml"
    link.symlink_to(real)
    write_connection(link, "prod", SETTINGS)
    assert (link.is_symlink(), connection_names(real)) == (True, ["prod"])


@pytest.mark.parametrize("step", ["mkstemp", "replace"])
def test_a_disk_that_refuses_leaves_nothing_behind(tmp_path, monkeypatch, step):
    """Neither a half file nor a temporary one."""
    path = tmp_path / "flowrunner.toml"
    path.write_text("# mine\n")

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*(("tempfile.mkstemp", full) if step == "mkstemp" else ("pathlib.Path.replace", full)))
    with pytest.raises(ConfigError, match="cannot be written: No space left on device"):
        write_connection(path, "prod", SETTINGS)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("flowrunner.toml", "# mine\n")]


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    """The core alone reads the configuration and does not write it."""
    monkeypatch.setitem(sys.modules, "tomlkit", None)
    with pytest.raises(ConfigError, match=r'pip install "flowrunner\[cli\]"'):
        write_connection(tmp_path / "flowrunner.toml", "prod", SETTINGS)


def test_where_it_is_written(tmp_path):
    """The file that is named, else the one that is read, else a new one here."""
    found = tmp_path / "found.toml"
    assert str(place_of("a.toml", {"FLOWRUNNER_CONFIG": "b.toml"}, found)) == "a.toml"
    assert str(place_of(None, {"FLOWRUNNER_CONFIG": "b.toml"}, found)) == "b.toml"
    assert place_of(None, {}, found) == found
    assert str(place_of(None, {}, None)) == "flowrunner.toml"


# --- credentials


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_a_credential_goes_into_a_file_of_its_own(tmp_path):
    """Its owner alone may read it and look into the folder, whatever the umask."""
    mask = os.umask(0)
    try:
        keep_in_file(tmp_path / "secrets" / "prod", TOKEN)
    finally:
        os.umask(mask)
    assert (tmp_path / "secrets" / "prod").read_text() == "s3cret\n"
    assert (mode(tmp_path / "secrets"), mode(tmp_path / "secrets" / "prod")) == (0o700, 0o600)


@pytest.mark.parametrize(("make", "problem"), [(True, "it exists"), (False, "File exists")])
def test_a_credential_overwrites_nothing(tmp_path, make, problem):
    """A file that is there stays; what cannot be made is told; the credential is not."""
    (tmp_path / "there").write_text("mine")
    with pytest.raises(ConfigError, match=problem) as caught:
        keep_in_file(tmp_path / "there" if make else tmp_path / "there" / "deeper", TOKEN)
    assert (tmp_path / "there").read_text() == "mine"
    assert "s3cret" not in str(caught.value)


class Memory(KeyringBackend):
    """A keyring for one test."""

    priority = 1

    def __init__(self, *, fails=False):
        super().__init__()
        self.entries, self.fails = {}, fails

    def get_password(self, service, username):
        """What is kept."""
        return self.entries.get((service, username))

    def set_password(self, service, username, password):
        """Keep it."""
        if self.fails:
            raise RuntimeError(f"locked: {password}")
        self.entries[service, username] = password


@pytest.fixture
def memory():
    """The system's keyring, while the test lasts."""
    before, found = keyring.get_keyring(), Memory()
    keyring.set_keyring(found)
    yield found
    keyring.set_keyring(before)


def test_a_credential_goes_into_the_keyring(memory):
    """Under the entry that the configuration names; the service may hold slashes."""
    keep_in_keyring("https://x.example/prod", TOKEN)
    assert memory.entries == {("https://x.example", "prod"): "s3cret"}


def test_a_keyring_that_refuses_is_told(memory, monkeypatch):
    """Without the credential, which its own error may hold."""
    memory.fails = True
    with pytest.raises(ConfigError, match=r"RuntimeError: locked: \*\*\*"):
        keep_in_keyring("fme/prod", TOKEN)
    with pytest.raises(ConfigError, match="SERVICE/USER"):
        keep_in_keyring("prod", TOKEN)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match=r"flowrunner\[keyring\]"):
        keep_in_keyring("fme/prod", TOKEN)
