"""`flowrunner init`: asks, checks, writes, and keeps the credential elsewhere."""

from __future__ import annotations

import json
import os
import stat
import tomllib

import pytest
from click.testing import CliRunner

import flowrunner
from flowrunner.cli import init
from flowrunner.cli.app import app
from flowrunner.simulator import Simulator


@pytest.fixture
def here(tmp_path, monkeypatch, simulator):
    """An empty folder without terminal and keyring; the user's folder is in it. The file that would be written."""
    monkeypatch.setattr("platformdirs.user_config_path", lambda name: tmp_path / "user" / name)
    monkeypatch.setattr(init, "is_installed", lambda module: module != "keyring")
    return tmp_path / "flowrunner.toml"


@pytest.fixture
def run(here, simulator):
    """Run `init` with options and what is typed; nothing anywhere shows the token."""

    def run(*words, typed="", **env):
        ended = CliRunner().invoke(app, ["init", *words], input=typed, env=env, prog_name="flowrunner")
        if ended.exception and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        assert simulator.token not in ended.stdout + ended.stderr
        return ended

    return run


@pytest.fixture
def person(monkeypatch):
    """Somebody at a terminal."""
    monkeypatch.setattr(init, "is_interactive", lambda: True)


@pytest.fixture
def usual(simulator):
    """All that is needed, but for the credential."""
    return ["prod", "--backend", "fme-flow-v4", "--base-url", simulator.base_url]


def said(file, name="prod"):
    """What a file says of a connection."""
    return tomllib.loads(file.read_text())["connections"][name]


def test_a_credential_on_stdin_goes_into_a_file(run, here, usual, simulator, tmp_path):
    """One that its owner alone may read; the configuration refers to it and works."""
    ended = run(*usual, "--keep", "file", "--credential-stdin", typed=f"{simulator.token}\n")
    secret = tmp_path / "user" / "flowrunner" / "secrets" / "prod"

    assert (ended.exit_code, ended.stdout) == (0, "prod\n")
    assert said(here) == {
        "backend": "fme-flow-v4", "base_url": simulator.base_url, "token": {"file": str(secret)},
    }  # fmt: skip
    assert secret.read_text() == f"{simulator.token}\n"
    assert os.name != "posix" or stat.S_IMODE(secret.stat().st_mode) == 0o600
    with flowrunner.connect("prod") as client:
        assert client.health().authenticated
    assert "flowrunner doctor prod" in ended.stderr


def test_a_credential_in_a_variable_stays_there(run, here, usual, simulator):
    """Its name alone is written."""
    ended = run(*usual, "--keep", "env:FME_TOKEN", "--json", FME_TOKEN=simulator.token)
    assert ended.exit_code == 0
    assert said(here)["token"] == {"env": "FME_TOKEN"}
    assert '"checked": true' in ended.stdout
    assert '"credential": {"kind": "env", "place": "FME_TOKEN"}' in ended.stdout


def test_a_credential_in_a_file_that_is_there_is_used(run, here, usual, simulator, tmp_path):
    """It is neither asked for nor changed."""
    (tmp_path / "token").write_text(simulator.token)
    assert run(*usual, "--keep", "file:token").exit_code == 0
    assert said(here)["token"] == {"file": str(tmp_path / "token")}
    (tmp_path / "token").write_text("")
    assert "is empty" in run("other", *usual[1:], "--keep", "file:token").stderr


def test_a_credential_goes_into_the_keyring(run, here, usual, simulator, monkeypatch):
    """Under flowrunner/NAME, if nothing else is said."""
    kept = {}
    monkeypatch.setattr(init, "keep_in_keyring", lambda entry, secret: kept.update({entry: secret.reveal()}))
    assert run(*usual, "--keep", "keyring", "--credential-stdin", typed=simulator.token).exit_code == 0
    assert (kept, said(here)["token"]) == ({"flowrunner/prod": simulator.token}, {"keyring": "flowrunner/prod"})


def test_a_credential_in_the_file_itself_has_to_be_asked_for(run, here, usual, simulator):
    """The file is closed to others then."""
    assert run(*usual, "--keep", "literal", "--credential-stdin", typed=simulator.token).exit_code == 0
    assert said(here)["token"] == simulator.token
    assert os.name != "posix" or stat.S_IMODE(here.stat().st_mode) == 0o600


def test_a_person_is_asked_for_everything(run, here, simulator, person):
    """Name, backend, address, where to keep it, and the credential, which does not show."""
    answers = ["mine", "fme-flow-v4", simulator.base_url, "env", "FME_TOKEN", simulator.token]
    ended = run(typed="\n".join([*answers, ""]))

    assert ended.exit_code == 0
    assert said(here, "mine") == {
        "backend": "fme-flow-v4", "base_url": simulator.base_url, "token": {"env": "FME_TOKEN"},
    }  # fmt: skip
    assert "Programs that use it need the environment variable FME_TOKEN." in ended.stderr


def test_what_cannot_be_right_is_asked_for_again(run, here, simulator, person):
    """At once, and not when the rest has been answered: the address, and where the credential is kept."""
    bare = simulator.base_url.removeprefix("http://")
    ended = run("mine", typed=f"fme-flow-v4\n{bare}\n{simulator.base_url}/\nvault\nenv:FME_TOKEN\n{simulator.token}\n")

    assert (ended.exit_code, said(here, "mine")["base_url"]) == (0, simulator.base_url)
    assert "with https:// or http:// in front" in ended.stderr
    assert "a credential cannot be kept in 'vault': there are: env, file, keyring, literal" in ended.stderr


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        ([], "give NAME"),
        (["prod"], "give --backend"),
        (["prod", "--backend", "invision"], "give --base-url"),
        (["prod", "--backend", "invision", "--base-url", "http://127.0.0.1:1"], "give --keep"),
        (["prod", "--backend", "invision", "--base-url", "http://127.0.0.1:1", "--keep", "env"], "--keep env:NAME"),
        (
            ["prod", "--backend", "invision", "--base-url", "http://127.0.0.1:1", "--keep", "env:K"],
            "give --credential-stdin, or set $K",
        ),
        (
            ["prod", "--backend", "invision", "--base-url", "http://127.0.0.1:1", "--keep", "file"],
            "give --credential-stdin.",
        ),
    ],
)
def test_without_a_terminal_the_option_that_is_missing_is_named(run, here, words, missing):
    """Exit code 2, and nothing is written."""
    ended = run(*words)
    assert (ended.exit_code, here.exists()) == (2, False)
    assert missing in " ".join(ended.stderr.replace("│", " ").split())


@pytest.mark.parametrize("address", ["the server's", "http://127.0.0.1:1"])
def test_what_the_server_refuses_is_not_written(run, here, usual, address, tmp_path):
    """A wrong credential, or no server: neither the file nor the credential is written."""
    words = usual if address == "the server's" else [*usual[:-1], address]
    ended = run(*words, "--keep", "file", "--credential-stdin", typed="wrong")

    assert ended.exit_code == (8 if address == "the server's" else 7)
    assert "To write it unchecked: --no-check" in ended.stderr
    assert (here.exists(), (tmp_path / "user").exists()) == (False, False)


def test_a_person_may_write_it_all_the_same(run, here, usual, person):
    """The server may be down today."""
    assert run(*usual, "--keep", "env:T", typed="wrong\ny\n").exit_code == 0
    assert said(here)["token"] == {"env": "T"}


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_person_who_does_not_is_told_once(run, here, usual, person, more):
    """What is wrong is said before the question; the answer `n` ends with the exit code of that, and one object."""
    ended = run(*usual, "--keep", "env:T", *more, typed="wrong\nn\n")

    assert (ended.exit_code, here.exists()) == (8, False)
    before, _, after = ended.stderr.partition("Write it all the same? [y/N]: n\n")
    assert "\nError: the vendor did not accept the credential" in before
    assert after == "Nothing is written. To write it unchecked: --no-check\n"
    assert [json.loads(line)["error"] for line in ended.stdout.splitlines()] == ["AuthenticationError"] * len(more)


def test_unchecked_needs_neither_server_nor_credential(run, here):
    """But the settings have to make a connection."""
    words = ["prod", "--backend", "fme-flow", "--keep", "env:T", "--no-check", "--base-url"]
    assert run(*words, "ftp://x").exit_code == 2
    assert not here.exists()
    assert run(*words, "https://x.example/").exit_code == 0
    assert said(here) == {"backend": "fme-flow", "base_url": "https://x.example", "token": {"env": "T"}}


def test_a_vendor_without_a_health_check_is_not_checked(run, here):
    """That is said."""
    with Simulator("invision") as serving:
        ended = run("prod", "--backend", "invision", "--base-url", serving.base_url, "--keep", "env:K", K="k")
    assert ended.exit_code == 0
    assert "Not checked" in ended.stderr


def test_other_settings_are_set(run, here, usual):
    """Numbers are numbers."""
    words = [*usual, "--keep", "env:T", "--no-check"]
    assert run(*words, "--set", "timeout=5", "--set", "retries=1").exit_code == 0
    assert (said(here)["timeout"], said(here)["retries"]) == (5.0, 1)


@pytest.mark.parametrize(
    ("assignment", "why"),
    [
        ("timeuot=5", "did you mean 'timeout'"),
        ("token=x", "it is a credential"),
        ("timeout", "NAME="),
        ("timeout=soon", "timeout: expected a number"),
        ("status_map=x", "cannot be given"),
    ],
)
def test_a_setting_that_is_wrong_is_refused(run, here, usual, assignment, why):
    """Exit code 2, and nothing is written."""
    ended = run(*usual, "--keep", "env:T", "--no-check", "--set", assignment)
    assert (ended.exit_code, here.exists(), why in ended.stderr) == (2, False, True)


def test_ctrl_c_at_a_question_ends_it(run, here, person):
    """Exit code 130, as everywhere."""
    assert run(typed="").exit_code == 130
    assert not here.exists()


def test_a_user_with_a_password(run, here, person):
    """The password is a credential like any; its user is asked for."""
    with Simulator("smart-flows") as serving:
        words = ["prod", "--backend", "smart-flows", "--base-url", serving.base_url, "--credential", "password"]
        ended = run(*words, "--keep", "env:P", "--no-check", typed="ann\n")
    assert ended.exit_code == 0
    assert said(here) == {
        "backend": "smart-flows", "base_url": serving.base_url, "username": "ann", "password": {"env": "P"},
    }  # fmt: skip
    refused = run("other", *words[1:-1], "pasword")
    assert (refused.exit_code, "did you mean 'password'" in refused.stderr) == (2, True)


@pytest.mark.parametrize("keep", ["vault:x", "envy"])
def test_an_unknown_place_names_those_there_are(run, here, usual, keep):
    """Exit code 2."""
    ended = run(*usual, "--keep", keep)
    assert (ended.exit_code, "env, file, keyring, literal" in ended.stderr) == (2, True)


def test_a_connection_is_never_replaced_silently(run, here, usual, monkeypatch):
    """An error, or a question; --replace answers it. The rest of the file stays."""
    here.write_text('# mine\n[connections.prod]\nbackend = "invision" # old\n')
    words = [*usual, "--keep", "env:T", "--no-check"]
    refused = run(*words)
    assert (refused.exit_code, "choose another name, or give --replace" in refused.stderr) == (2, True)
    monkeypatch.setattr(init, "is_interactive", lambda: True)
    assert run(*words, typed="n\n").exit_code == 2
    assert said(here) == {"backend": "invision"}
    assert run(*words, typed="y\n").exit_code == 0
    assert said(here)["backend"] == "fme-flow-v4"
    assert run(*words, "--replace").exit_code == 0
    assert "# mine" in here.read_text()


def test_it_is_written_where_it_is_read(run, usual, tmp_path):
    """--config, then $FLOWRUNNER_CONFIG, which need not exist; the next command is told of --config."""
    words = [*usual, "--keep", "env:T", "--no-check"]
    named = run(*words, "--config", "a.toml", FLOWRUNNER_CONFIG="b.toml")
    assert "flowrunner doctor prod --config a.toml" in named.stderr
    assert run(*words, FLOWRUNNER_CONFIG=str(tmp_path / "b.toml")).exit_code == 0
    assert said(tmp_path / "a.toml") == said(tmp_path / "b.toml")


def test_a_backend_without_credentials_has_none(run, here, monkeypatch):
    """Nothing is asked about it."""
    from flowrunner import registry
    from flowrunner.backend import Backend

    class Local(Backend):
        """A backend of nothing."""

        backend_api = 1
        name = family = "local"

    monkeypatch.setattr(registry, "load", lambda _name: Local)
    ended = run("prod", "--backend", "local")
    assert ended.exit_code == 0
    assert said(here) == {"backend": "local"}


def test_nobody_is_there_without_a_terminal(monkeypatch):
    """Both ends have to be one."""
    for stdin in (False, True):
        for stderr in (False, True):
            monkeypatch.setattr("sys.stdin.isatty", lambda stdin=stdin: stdin, raising=False)
            monkeypatch.setattr("sys.stderr.isatty", lambda stderr=stderr: stderr, raising=False)
            assert init.is_interactive() == (stdin and stderr)
