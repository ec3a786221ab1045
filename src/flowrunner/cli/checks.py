"""What `flowrunner doctor` looks at. Each check yields findings; none raises, and none shows a credential."""

from __future__ import annotations

import os
import platform
import stat
import sys
import warnings
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from attrs import frozen

from flowrunner import __version__, registry
from flowrunner.backend import Capability
from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.extras import is_installed
from flowrunner.cli.outcome import code_of
from flowrunner.config.addresses import is_loopback
from flowrunner.config.explanation import explain
from flowrunner.config.file import read_configuration
from flowrunner.config.sources import Origin, variable_of
from flowrunner.connecting import connect
from flowrunner.errors import BackendLoadError, FlowrunnerError, JournalError, TransportError, UnknownConnection
from flowrunner.plans import Request
from flowrunner.retries import Failure

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from flowrunner.cli.options import JournalPlace
    from flowrunner.client import Client
    from flowrunner.config.explanation import Explanation
    from flowrunner.models import Health
    from flowrunner.plans import Response

__all__ = ["Finding", "Level", "of_connection", "of_surroundings"]

_SKEW: Final = timedelta(seconds=30)
"""How far apart the clocks may be. A submission is looked for by the time it was sent at."""
_PATIENCE: Final = 10.0
"""Seconds to wait for a server, at most: whoever asks the doctor sits and waits."""
_EXTRAS: Final = {"fast": "msgspec", "forms": "jsonschema", "keyring": "keyring", "simulator": "starlette"}


class Level(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    SKIP = "skip"
    """It could not be found out, and that is no fault."""
    WARN = "warn"
    FAIL = "fail"


@frozen
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what.
        level: how it is.
        message: that, in words.
        advice: what to do; nothing where there is nothing to do.
        connection: of which connection.
        code: the exit code of a failure.
    """

    check: str
    level: Level
    message: str
    advice: str = ""
    connection: str | None = None
    code: ExitCode = ExitCode.SUCCEEDED


# --- what has nothing to do with a server


def of_surroundings(config: str | None, journal: JournalPlace) -> Iterator[Finding]:
    """Look at the installation, the configuration file, the plugins and the journal."""
    yield Finding("version", Level.OK, f"flowrunner {__version__}, Python {platform.python_version()}, {sys.platform}")
    yield _extras()
    yield from _file(config)
    yield from _environment(config)
    yield from _plugins()
    yield from _journal(journal)


def _extras() -> Finding:
    has = [extra for extra, module in _EXTRAS.items() if is_installed(module)]
    lacks = [extra for extra in _EXTRAS if extra not in has]
    advice = f'if you need more: pip install "flowrunner[{",".join(lacks)}]"' if lacks else ""
    return Finding("extras", Level.OK, f"installed: {', '.join(has) or 'none'}", advice)


def _file(config: str | None) -> Iterator[Finding]:
    try:
        configuration = read_configuration(config, os.environ)
    except FlowrunnerError as error:
        yield Finding("configuration", Level.FAIL, error.message, "mend the file", code=ExitCode.USAGE)
        return
    count = len(configuration.connections)
    if count:
        yield Finding("configuration", Level.OK, f"{configuration.where}, {count} connection{'s'[: count > 1]}")
        return
    advice = "make one with: flowrunner init"
    yield Finding("configuration", Level.WARN, f"there is no connection in {configuration.where}", advice)


def _environment(config: str | None) -> Iterator[Finding]:
    """Variables that look like ours and mean nothing, and proxies, of which nothing but the names is shown."""
    ours = {name for name in os.environ if name.startswith("FLOWRUNNER_")} - {"FLOWRUNNER_CONFIG", "FLOWRUNNER_JOURNAL"}
    try:
        known = set(read_configuration(config, os.environ).connections)
    except FlowrunnerError:
        return
    strays = sorted(name for name in ours if not any(name.startswith(variable_of(each, "")) for each in known))
    if strays:
        advice = "name it FLOWRUNNER_<CONNECTION>_<SETTING>, or unset it"
        yield Finding("environment", Level.WARN, f"means no connection: {', '.join(strays)}", advice)
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
    found = [name for name in names if os.environ.get(name) or os.environ.get(name.lower())]
    yield Finding(
        "environment", Level.OK, f"set: {', '.join(found)}" if found else "no proxy, no authorities of its own"
    )


def _plugins() -> Iterator[Finding]:
    others = [offer for offer in registry.offers() if offer.state is not registry.OfferState.BUILT_IN]
    for offer in others:
        text = f"{offer.name} of {offer.distribution}"
        if offer.state is registry.OfferState.REFUSED:
            yield Finding("plugins", Level.WARN, f"{text}: the name is a built-in's", "uninstall or rename the plugin")
            continue
        try:
            registry.load(offer.name)
        except BackendLoadError as error:
            yield Finding("plugins", Level.FAIL, error.message, "update or uninstall it", code=ExitCode.USAGE)
        else:
            yield Finding("plugins", Level.OK, text)
    if not others:
        yield Finding("plugins", Level.OK, "none; the built-in backends are there")


def _journal(place: JournalPlace) -> Iterator[Finding]:
    """Whether the journal can be used. None is made."""
    from flowrunner.journal import Journal, default_path

    if place is False:
        yield Finding("journal", Level.WARN, "none is kept", "without one, what an interruption leaves is not found")
        return
    path = default_path() if place is True else Path(place)
    try:
        if not path.exists():
            yield _journal_to_be(path)
            return
        journal = Journal.open(path)
        entries = len(journal.entries())
        journal.close()
    except JournalError as error:
        yield Finding("journal", Level.FAIL, error.message, "or go without: --journal none", code=ExitCode.USAGE)
    except OSError as error:
        yield Finding("journal", Level.FAIL, f"{path}: {error.strerror}", "name another", code=ExitCode.USAGE)
    else:
        yield Finding("journal", Level.OK, f"{path}, {entries} submission{'s' if entries != 1 else ''}")


def _journal_to_be(path: Path) -> Finding:
    """Whether the first submission can make the journal, with the folders that it lacks."""
    folder = next(each for each in path.absolute().parents if each.exists())
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return Finding("journal", Level.OK, f"{path}: not there yet; the first submission makes it")
    text = f"{path}: not there yet, and it cannot be made: {folder} takes no new file"
    advice = "name another: --journal FILE, or go without: --journal none"
    return Finding("journal", Level.FAIL, text, advice, code=ExitCode.USAGE)


# --- one connection


def of_connection(name: str, config: str | None) -> Iterator[Finding]:
    """Look at a connection: its settings, its server, its credential."""
    for finding in _of_connection(name, config):
        yield Finding(finding.check, finding.level, finding.message, finding.advice, name, finding.code)


def _of_connection(name: str, config: str | None) -> Iterator[Finding]:
    try:
        explanation = explain(name, config=config)
    except FlowrunnerError as error:
        yield Finding("settings", Level.FAIL, error.message, _about_settings(error, name), code=code_of(error))
        return
    if explanation.problem is not None:
        advice = f"see all of them: flowrunner connections --explain {name}"
        yield Finding("settings", Level.FAIL, explanation.problem, advice, code=ExitCode.USAGE)
        return
    place = explanation.file if explanation.line is None else f"{explanation.file}, line {explanation.line}"
    yield Finding("settings", Level.OK, f"{explanation.backend}, {place}")
    yield from _secrets(explanation)
    yield from _server(name, config, explanation)


def _about_settings(error: FlowrunnerError, name: str) -> str:
    if not isinstance(error, UnknownConnection):
        return "mend the file"
    return f"configure it: flowrunner init {name if error.backend is None else f'--backend {name}'}"


def _secrets(explanation: Explanation) -> Iterator[Finding]:
    """Credentials that others may see."""
    for each in explanation.settings:
        if each.source is None:
            continue
        if each.origin is Origin.FILE and each.source.startswith("written"):
            advice = f"move it: flowrunner init {explanation.connection} --replace"
            yield Finding("secrets", Level.WARN, f"{each.name} is written in the file itself", advice)
        elif each.source.startswith("the file ") and _is_open(Path(each.source.removeprefix("the file "))):
            path = each.source.removeprefix("the file ")
            yield Finding("secrets", Level.WARN, f"others may read {path}", f"chmod 600 {path}")
        else:
            yield Finding("secrets", Level.OK, f"{each.name} from {each.source}")


def _is_open(path: Path) -> bool:
    """Whether others than its owner may read a file."""
    return os.name == "posix" and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _server(name: str, config: str | None, explanation: Explanation) -> Iterator[Finding]:
    values = {each.name: each.value for each in explanation.settings}
    timeout = min(float(values["timeout"]), _PATIENCE)
    address = values.get("base_url")
    with warnings.catch_warnings():  # a credential in the file is a finding already
        warnings.simplefilter("ignore", UserWarning)
        client = connect(name, config=config, timeout=timeout, retries=0)
    with client:
        if isinstance(address, str):
            answer = yield from _reach(client, address)
            if answer is None:
                return
            yield _clock(answer)
        yield from _health(client)


def _reach(client: Client, address: str) -> Generator[Finding, None, Response | None]:
    """Ask the server for anything, without a credential. The answer, if there was one, is returned."""
    parts = urlsplit(address)
    place = parts.netloc
    try:
        answer = client._session.send(Request("GET", "/", anonymous=True), retry=False)  # noqa: SLF001 - no public call
    except TransportError as error:
        check = "tls" if error.failure in {Failure.TLS, Failure.CERTIFICATE} else "reachable"
        yield Finding(check, Level.FAIL, error.message, code=ExitCode.CONTACT_LOST)
        return None
    if parts.scheme == "https":
        yield Finding("tls", Level.OK, f"the certificate of {place} is trusted")
    elif is_loopback(parts.hostname or ""):
        yield Finding("tls", Level.OK, f"none needed: {place} is this machine")
    else:
        yield Finding("tls", Level.WARN, f"plain http to {place} shows the credential to others", "use https")
    yield Finding("reachable", Level.OK, f"{place} answers")
    return answer


def _clock(answer: Response) -> Finding:
    """How far the server's clock is from this one, to the second: its answers say no more."""
    try:
        there = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return Finding("clock", Level.SKIP, "the server does not tell its time")
    there = there if there.tzinfo else there.replace(tzinfo=UTC)
    skew = datetime.now(UTC) - there
    if abs(skew) <= _SKEW:
        return Finding("clock", Level.OK, "the same as the server's, within half a minute")
    which = "ahead of" if skew > timedelta(0) else "behind"
    seconds = abs(skew.total_seconds())
    text = f"this machine is {seconds:.0f} s {which} the server"
    return Finding("clock", Level.WARN, text, "set the clock that is wrong; NTP keeps it right")


def _health(client: Client) -> Iterator[Finding]:
    if Capability.HEALTH not in client.capabilities:
        text = f"{client.backend} has no request that would show it: the first run will"
        yield Finding("credential", Level.SKIP, text)
        return
    try:
        health = client.health()
    except FlowrunnerError as error:
        yield Finding("credential", Level.FAIL, error.message, code=code_of(error))
        return
    yield _credential(health)
    if health.healthy is False:
        advice = "ask whoever runs the server"
        yield Finding("server", Level.WARN, health.message or "the server says that it cannot work", advice)
    elif health.reachable:
        told = " ".join(filter(None, (health.api, health.version)))
        yield Finding("server", Level.OK if told else Level.SKIP, told or "it does not tell its version")


def _credential(health: Health) -> Finding:
    message = health.message or ""
    if not health.reachable:
        text = message or "what answers is not the vendor's interface"
        return Finding("credential", Level.FAIL, text, "check base_url", code=ExitCode.CONTACT_LOST)
    if health.authenticated is False:
        text = message or "the server does not accept it"
        advice = "it may have expired, or lack a right: make a new one at the vendor's"
        return Finding("credential", Level.FAIL, text, advice, code=ExitCode.DENIED)
    if health.authenticated is None:
        return Finding("credential", Level.SKIP, message or "the server did not show whether it accepts it")
    return Finding("credential", Level.OK, "accepted")
