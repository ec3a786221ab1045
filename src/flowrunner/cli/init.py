"""`flowrunner init`: configure a connection. Everything that is asked can be said by an option."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import frozen

from flowrunner import registry
from flowrunner.backend import Capability
from flowrunner.cli.completing import backend_names
from flowrunner.cli.extras import is_installed
from flowrunner.cli.options import config_option, json_option
from flowrunner.cli.outcome import code_of, command_line, end, error_object, reporting
from flowrunner.cli.output import Output, is_interactive
from flowrunner.config.addresses import check_address
from flowrunner.config.connection import resolve
from flowrunner.config.file import VARIABLE, read_configuration
from flowrunner.config.settings import declared, from_text
from flowrunner.config.writing import (
    connection_names,
    keep_in_file,
    keep_in_keyring,
    place_of,
    write_connection,
)
from flowrunner.connecting import connect
from flowrunner.errors import AuthenticationError, ConfigError, FlowrunnerError, TransportError
from flowrunner.nearmiss import suggestion
from flowrunner.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowrunner.config.settings import Setting
    from flowrunner.models import Health

__all__ = ["command"]

_HELP = """\
Configure a connection: ask for vendor, address and credential, check them against the server, and write them into the
configuration file. What is in the file already stays, comments and all.

The credential itself goes into the system's keyring, into a file that you alone may read, or stays in an environment
variable; the configuration only says where. With --keep literal it is written into the configuration file.

NAME is what the connection is called. Every question can be answered by an option; without a terminal, all that are
needed must be. The credential is never an argument, which others could see: it is typed, or comes from the environment
variable that is named, from a file that is there, or with --credential-stdin from the first line of stdin.

With --json, stdout is one object: {"connection", "backend", "file", "credential", "checked", "version"}.

\b
Examples:
  flowrunner init
  flowrunner init prod --backend fme-flow --base-url https://fme.example.com --keep env:FME_TOKEN
  flowrunner init prod --backend fme-flow --base-url https://fme.example.com --keep keyring --credential-stdin <token
  flowrunner init reports --backend smart-flows --base-url https://acme.example.com --keep file:/run/secrets/reports
"""

_KINDS: Final = ("keyring", "file", "env", "literal")
_NOT_WRITTEN: Final = "Nothing is written. To write it unchecked: --no-check"


@frozen
class Keeping:
    """Where a credential is kept.

    Attributes:
        kind: `keyring`, `file`, `env` or `literal`.
        place: the entry, the path or the name of the variable.
    """

    kind: str
    place: str

    def kept(self, secret: Secret | None) -> Any:
        """Put the credential there, where it is not yet; what the configuration says of it is returned.

        Raises:
            ConfigError: it cannot be kept there.
        """
        if secret is not None:
            self._keep(secret)
        return secret.reveal() if self.kind == "literal" and secret is not None else {self.kind: self.place}

    def known(self) -> Secret | None:
        """The credential, where it is there already."""
        if self.kind == "env":
            value = os.environ.get(self.place, "")
            return Secret(value) if value else None
        if self.kind == "file" and Path(self.place).is_file():
            from flowrunner.config.credentials import obtain

            try:
                return obtain({"file": self.place}, folder=Path.cwd(), environ=os.environ)
            except ValueError as error:
                problem = str(error)
            raise ConfigError(problem)
        return None

    def _keep(self, secret: Secret) -> None:
        if self.kind == "keyring":
            keep_in_keyring(self.place, secret)
        elif self.kind == "file" and not Path(self.place).is_file():
            keep_in_file(Path(self.place), secret)


def _assignment(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise click.BadParameter("it is written NAME=VALUE.")
    return dict(text.split("=", 1) for text in texts)


@click.command("init", help=_HELP, short_help="Configure a connection: ask, check, write.")
@click.argument("name", required=False)
@click.option("--backend", metavar="NAME", shell_complete=backend_names, help="The vendor; see `flowrunner backends`.")
@click.option("--base-url", metavar="URL", help="The address of the server.")
@click.option(
    "--set", "others", multiple=True, metavar="NAME=VALUE", callback=_assignment,
    help="Another setting of the backend; may be given several times.",
)  # fmt: skip
@click.option(
    "--credential", metavar="NAME", help="Which setting is the credential, for a backend that takes several kinds."
)
@click.option(
    "--keep", metavar="WHERE",
    help="Where the credential is kept: keyring[:SERVICE/USER], file[:PATH], env:NAME, or literal.",
)  # fmt: skip
@click.option("--credential-stdin", is_flag=True, help="Read the credential from the first line of stdin.")
@click.option("--check/--no-check", default=True, help="Try it on the server before anything is written.")
@click.option("--replace", is_flag=True, help="Replace a connection of that name.")
@config_option
@json_option
def command(*, as_json: bool, config: str | None, **answers: Any) -> None:
    """See `_HELP`."""
    output = Output(as_json=as_json)
    with reporting(output):
        _init(Questions(**answers), config, output)


@frozen(kw_only=True)
class Questions:
    """What there is to know, and what the options say of it. What they do not say is asked on a terminal."""

    name: str | None
    backend: str | None
    base_url: str | None
    others: Mapping[str, str]
    credential: str | None
    keep: str | None
    credential_stdin: bool
    check: bool
    replace: bool

    def ask(self, text: str, answer: str | None, how: str, **prompt: Any) -> str:
        """The answer; if no option gives it, the person does.

        Raises:
            click.UsageError: there is nobody to ask.
        """
        if answer:
            return answer
        if not is_interactive():
            raise click.UsageError(f"There is no terminal to ask for it: give {how}.")
        # stdout is for data.
        return str(click.prompt(text, err=True, **prompt)).strip()

    def confirm(self, text: str) -> bool:
        """Whether the person says yes; nobody there says no."""
        return is_interactive() and click.confirm(text, err=True)


def _init(questions: Questions, config: str | None, output: Output) -> None:
    is_named = config is not None or bool(os.environ.get(VARIABLE))
    path = place_of(config, os.environ, None if is_named else read_configuration(None, os.environ).path)
    taken = connection_names(path)
    name = _name(questions, taken, path)
    backend = questions.ask(
        "Backend", questions.backend, "--backend", type=click.Choice(registry.names()), default="fme-flow"
    )
    known = declared(registry.load(backend).settings_class)
    given: dict[str, Any] = _settings(questions, backend, known)
    setting = _credential(questions, known)
    keeping = None if setting is None else _keeping(questions, name)
    secret = None if setting is None or keeping is None else _secret(questions, setting, keeping, output)
    settings = _valid(backend, given, setting, secret)
    if setting is not None and secret is not None:
        given[setting.name] = secret
    health = _checked(questions, backend, given, output) if questions.check else None
    if setting is not None and keeping is not None:
        settings[setting.name] = keeping.kept(secret)
    is_private = keeping is not None and keeping.kind == "literal"
    write_connection(path, name, {"backend": backend, **settings}, is_private=is_private)
    _tell(name, path, keeping, config, output)
    output.record(
        {
            "connection": name,
            "backend": backend,
            "file": str(path.absolute()),
            "credential": None if keeping is None else {"kind": keeping.kind, "place": keeping.place or None},
            "checked": questions.check,
            "version": None if health is None else health.version,
        }
    )


def _name(questions: Questions, taken: list[str], path: Path) -> str:
    name = questions.ask("Name of the connection", questions.name, "NAME", default="prod")
    if name in taken and not questions.replace and not questions.confirm(f"{path} has {name!r} already. Replace it?"):
        raise ConfigError(f"{path} has a connection {name!r} already: choose another name, or give --replace")
    return name


def _settings(questions: Questions, backend: str, known: Mapping[str, Setting]) -> dict[str, Any]:
    """The settings that are no credentials: those that are needed, and those that were given."""
    given = dict(questions.others)
    for name in given:
        if name not in known or known[name].is_secret:
            near = suggestion(name, [each for each in known if not known[each].is_secret])
            raise ConfigError(f"{name!r} is no setting of backend {backend!r}, or it is a credential: {near}")
    if questions.base_url and "base_url" in known:
        given["base_url"] = questions.base_url
    for setting in known.values():
        if setting.is_required and not setting.is_secret and setting.name not in given:
            option = "--base-url" if setting.name == "base_url" else f"--set {setting.name}=..."
            text = "Address of the server" if setting.name == "base_url" else setting.name
            prompt = {"value_proc": _asked_again(check_address)} if setting.name == "base_url" else {}
            given[setting.name] = questions.ask(text, None, option, **prompt)
    if questions.credential == "password" and "username" in known and "username" not in given:
        given["username"] = questions.ask("User", None, "--set username=...")
    return {name: _read(known[name], text) for name, text in given.items()}


def _asked_again(check: Callable[[str], str]) -> Callable[[str], str]:
    """What reads an answer at a terminal: what cannot be right is asked for once more, not after all the rest."""

    def read(text: str) -> str:
        try:
            return check(text.strip())
        except ValueError as error:
            raise click.UsageError(str(error)) from error

    return read


def _read(setting: Setting, text: str) -> Any:
    try:
        return from_text(text, setting.type)
    except ValueError as error:
        problem = str(error)
    raise ConfigError(f"{setting.name}: {problem}")


def _credential(questions: Questions, known: Mapping[str, Setting]) -> Setting | None:
    """The setting that is the credential; None for a backend without any."""
    secrets = {name: setting for name, setting in known.items() if setting.is_secret}
    if questions.credential is not None:
        if questions.credential not in secrets:
            raise ConfigError(f"there is no credential {questions.credential!r}: "
                              f"{suggestion(questions.credential, secrets)}")  # fmt: skip
        return secrets[questions.credential]
    return next(iter(sorted(secrets.values(), key=lambda each: not each.is_required)), None)


def _keeping(questions: Questions, name: str) -> Keeping:
    usual = "keyring" if is_installed("keyring") else "file"
    text = questions.ask(
        "Keep the credential in (keyring, file, env:NAME, literal)", questions.keep, "--keep", default=usual,
        value_proc=_asked_again(_known_place),
    )  # fmt: skip
    try:
        _known_place(text)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    kind, _, place = text.partition(":")
    return Keeping(kind, _place(questions, kind, place, name))


def _known_place(text: str) -> str:
    kind = text.partition(":")[0]
    if kind not in _KINDS:
        raise ValueError(f"a credential cannot be kept in {kind!r}: {suggestion(kind, _KINDS)}")
    return text


def _place(questions: Questions, kind: str, place: str, name: str) -> str:
    if kind == "env":
        return place or questions.ask("Name of the environment variable", None, "--keep env:NAME")
    if kind == "file":
        return str(Path(place).expanduser().absolute() if place else _usual_file(name))
    return place or f"flowrunner/{name}" if kind == "keyring" else ""


def _usual_file(name: str) -> Path:
    from platformdirs import user_config_path

    safe = "".join(each if each.isalnum() or each in "-_" else "_" for each in name)
    return user_config_path("flowrunner") / "secrets" / safe


def _secret(questions: Questions, setting: Setting, keeping: Keeping, output: Output) -> Secret | None:
    """The credential; None where it is in a variable that is not set here, and nothing is to be checked."""
    if questions.credential_stdin:
        return Secret(sys.stdin.readline().rstrip("\r\n"))
    if (known := keeping.known()) is not None:
        output.say(f"The credential is in {keeping.place} already.")
        return known
    if keeping.kind == "env" and not questions.check:
        return None
    how = f"--credential-stdin, or set ${keeping.place}" if keeping.kind == "env" else "--credential-stdin"
    return Secret(questions.ask(f"The credential ({setting.name}; it is not shown)", None, how, hide_input=True))


def _valid(backend: str, given: Mapping[str, Any], setting: Setting | None, secret: Secret | None) -> dict[str, Any]:
    """The settings as they are written: those that were given, once it is seen that they make a connection.

    Raises:
        ConfigError: they do not.
    """
    credential = {} if setting is None else {setting.name: secret or Secret("unknown-here")}
    made = resolve(None, backend=backend, config=None, arguments={**given, **credential}).settings
    return {name: getattr(made, name) for name in given}


def _checked(questions: Questions, backend: str, given: Mapping[str, Any], output: Output) -> Health | None:
    """Try the connection; who is there may go on all the same, nobody else may."""
    try:
        health = _health(backend, given)
    except FlowrunnerError as error:
        if isinstance(error, ConfigError) or not is_interactive():
            error.add_note(_NOT_WRITTEN)
            raise
        _ask_about(error, questions, output)
        return None
    if health is None:
        output.say("Not checked: this vendor has no request for it.")
    else:
        version = f": {health.version}" if health.version else ""
        output.say(f"The server answers and takes the credential{version}.")
    return health


def _ask_about(error: FlowrunnerError, questions: Questions, output: Output) -> None:
    """Tell the person of it and ask whether to go on; if not, end the command without telling it once more."""
    output.insist(f"Error: {error.message}")
    if not questions.confirm("Write it all the same?"):
        output.insist(_NOT_WRITTEN)
        output.record(error_object(error))
        end(code_of(error))


def _health(backend: str, given: Mapping[str, Any]) -> Health | None:
    """How the connection stands; None where the backend cannot tell.

    Raises:
        FlowrunnerError: not so that runs can be started.
    """
    with connect(backend=backend, retries=0, **given) as client:
        if Capability.HEALTH not in client.capabilities:
            return None
        health = client.health()
        if not health.reachable:
            text = health.message or "what answers there is not the vendor's interface: check the address"
            raise TransportError(text, maybe_arrived=False)
        if health.authenticated is False:
            raise AuthenticationError(health.message or "the server does not accept the credential")
        return health


def _tell(name: str, path: Path, keeping: Keeping | None, config: str | None, output: Output) -> None:
    output.say(f"{name} is written to {path.absolute()}.")
    if keeping is not None and keeping.kind == "env" and not os.environ.get(keeping.place):
        output.say(f"Programs that use it need the environment variable {keeping.place}.")
    elif keeping is not None and keeping.kind in {"file", "keyring"}:
        output.say(f"The credential is kept in the {keeping.kind}: {keeping.place}")
    output.data(name)
    output.say(f"Look at it with:\n  {command_line('doctor', name, config=config)}")
