"""`flowrunner doctor`: what it finds, and what it advises."""

from __future__ import annotations

import json
import os
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from flowrunner.cli import checks
from flowrunner.cli.checks import Level, _clock, _credential, _is_open
from flowrunner.client import Client
from flowrunner.errors import RateLimited
from flowrunner.models import Health
from flowrunner.plans import Response
from flowrunner.simulator import Simulator
from serving import serving


@frozen
class SelfSigned:
    """A certificate that nobody trusts."""

    context: ssl.SSLContext
    file: Path


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory):
    """A certificate of this machine, signed by itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(today - timedelta(1)).not_valid_after(today + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path_factory.mktemp("tls") / "here.pem"
    pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + pkcs8)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return SelfSigned(context, file)


@pytest.fixture
def simulator():
    """A server whose clock goes as ours does, which the doctor compares."""
    with Simulator("fme-flow-v4") as serving:
        yield serving


@pytest.fixture
def doctor(cli):
    """The exit code, and what was found, by connection and check; the text says the same."""

    def doctor(*words, **env):
        ended = cli("doctor", *words, "--json", **env)
        found = [json.loads(line) for line in ended.stdout.splitlines()]
        return ended.code, {(each["connection"], each["check"]): each for each in found}

    return doctor


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    """None that whoever runs the tests has."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def levels(found):
    """How each thing is."""
    return {key: each["level"] for key, each in found.items()}


def add(config, name, backend="fme-flow-v4", **settings):
    """Configure another connection."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"backend": backend, **settings}.items()]
    with config.open("a") as file:
        file.write("\n".join([f"[connections.{name}]", *lines, ""]))


def test_all_is_well(doctor, cli, simulator):
    """Exit code 0; everything is looked at, nothing is made, and the token shows nowhere."""
    code, found = doctor()

    assert (code, set(levels(found).values())) == (0, {"ok"})
    assert list(found) == [
        (None, "version"), (None, "extras"), (None, "configuration"), (None, "environment"), (None, "plugins"),
        (None, "journal"), ("sim", "settings"), ("sim", "secrets"), ("sim", "tls"), ("sim", "reachable"),
        ("sim", "clock"), ("sim", "credential"), ("sim", "server"),
    ]  # fmt: skip
    assert found["sim", "server"]["message"].startswith("REST V4 FME Flow")
    text = cli("doctor", "sim")
    assert "ok    sim: credential: accepted" in text.stdout
    assert simulator.token not in text.stdout + json.dumps(list(found.values()))


def test_a_wrong_token(doctor):
    """Exit code 8, with what to do; the token does not show."""
    code, found = doctor("sim", SIM_TOKEN="wr0ng")
    assert (code, found["sim", "credential"]["level"]) == (8, "fail")
    assert "make a new one" in found["sim", "credential"]["advice"]
    assert "wr0ng" not in json.dumps(list(found.values()))


def test_a_server_that_is_not_there(doctor, config):
    """Exit code 7; nothing more is asked of it; other connections are looked at all the same."""
    add(config, "gone", base_url="http://127.0.0.1:1", token="literal")
    code, found = doctor()
    assert (code, found["gone", "reachable"]["level"]) == (7, "fail")
    assert ("gone", "credential") not in found
    assert found["sim", "credential"]["level"] == "ok"
    assert found["gone", "secrets"]["advice"] == "move it: flowrunner init gone --replace"


def test_a_certificate_nobody_trusts(doctor, config, self_signed):
    """It fails, and says that `ca_file` can name who signed it; with that, it is trusted."""
    with serving(context=self_signed.context) as server:
        add(config, "tls", base_url=server.url, token="x")
        code, found = doctor("tls")
        assert (code, found["tls", "tls"]["level"]) == (7, "fail")
        assert "set ca_file" in found["tls", "tls"]["message"]
        _, found = doctor("tls", FLOWRUNNER_TLS_CA_FILE=str(self_signed.file))
    assert levels(found)["tls", "tls"] == "ok"
    assert found["tls", "credential"]["level"] == "fail"  # what answers is not the vendor's interface
    assert found["tls", "credential"]["exit_code"] == 7


def test_plain_http_to_elsewhere_is_warned_of(doctor, config, simulator, monkeypatch):
    """Who allows it is told what that means."""
    monkeypatch.setattr(checks, "is_loopback", lambda _host: False)
    _, found = doctor("sim")
    assert found["sim", "tls"]["level"] == "warn"


def test_settings_that_make_no_connection(doctor, config):
    """Exit code 2, the line, and nothing is asked of any server."""
    add(config, "bad", base_url="https://x.example", tokn="s3cret")
    code, found = doctor("bad")
    assert code == 2
    assert f"{config}, line 9: did you mean 'token'" in found["bad", "settings"]["message"]
    assert found["bad", "settings"]["advice"].endswith("flowrunner connections --explain bad")
    code, found = doctor("bda")
    assert (code, "did you mean 'bad'" in found["bda", "settings"]["message"]) == (2, True)


def test_a_table_that_is_none(doctor, config):
    """What is wrong with the file is to be mended there."""
    config.write_text("[connections]\nodd = 3\n")
    code, found = doctor("odd")
    assert (code, found["odd", "settings"]["advice"]) == (2, "mend the file")


def test_a_file_that_cannot_be_read(doctor, config):
    """Exit code 2; the installation is looked at all the same."""
    config.write_text("connections = ?")
    code, found = doctor()
    assert (code, levels(found)[None, "configuration"], levels(found)[None, "journal"]) == (2, "fail", "ok")


def test_no_connection_at_all(doctor, config):
    """A warning that names the command."""
    config.write_text("")
    code, found = doctor()
    assert (code, found[None, "configuration"]["advice"]) == (0, "make one with: flowrunner init")


def test_variables_that_mean_nothing(cli):
    """Misspelt overrides are found; proxies are named, not shown."""
    env = {"FLOWRUNNER_SMI_TIMEOUT": "5", "FLOWRUNNER_SIM_TIMEOUT": "5", "https_proxy": "http://u:s3cret@p:1"}
    shown = cli("doctor", "sim", **env).stdout
    assert "warn  environment: means no connection: FLOWRUNNER_SMI_TIMEOUT\n" in shown
    assert "-> name it FLOWRUNNER_<CONNECTION>_<SETTING>, or unset it" in shown
    assert "ok    environment: set: HTTPS_PROXY" in shown
    assert "s3cret" not in shown


def test_plugins(cli, install):
    """One that works, one that is broken, one that is refused."""
    good = (
        "from flowrunner.backend import Backend\n"
        "class Fifth(Backend):\n    backend_api = 1\n    name = family = 'fifth'\n    capabilities = frozenset()\n"
    )
    install("flowrunner-fifth", "fifth_doc", good, fifth="fifth_doc:Fifth")
    install("flowrunner-ill", "ill_doc", "raise ValueError('no luck')", ill="ill_doc:Ill")
    install("flowrunner-cuckoo", "cuckoo_doc", "", invision="cuckoo_doc:Cuckoo")
    ended = cli("doctor", "sim")
    assert ended.code == 2
    assert "ok    plugins: fifth of flowrunner-fifth 1.0" in ended.stdout
    assert "fail  plugins: backend 'ill'" in ended.stdout
    assert "warn  plugins: invision of flowrunner-cuckoo 1.0: the name is a built-in's" in ended.stdout


def test_the_journal(cli, doctor, tmp_path):
    """How many submissions it has; none; one that is no journal; one that cannot be looked at."""
    cli("run", "sim", "Demo/work.fmw", "--journal", "j.sqlite3")
    assert doctor("sim", "--journal", "j.sqlite3")[1][None, "journal"]["message"] == "j.sqlite3, 1 submission"
    assert doctor("sim", "--journal", "none")[1][None, "journal"]["level"] == "warn"
    (tmp_path / "bad").write_text("this is no database, whatever it is called")
    code, found = doctor("sim", "--journal", "bad")
    assert (code, found[None, "journal"]["level"]) == (2, "fail")
    assert doctor("sim", "--journal", "x" * 300)[1][None, "journal"]["level"] == "fail"


def test_a_journal_that_cannot_be_made(doctor, tmp_path):
    """A failure before the first submission is one: what lies above it is no folder, or one that takes no files."""
    (tmp_path / "plain").write_text("")
    code, found = doctor("sim", "--journal", str(tmp_path / "plain" / "deeper" / "j.sqlite3"))
    assert (code, found[None, "journal"]["level"]) == (2, "fail")
    assert f"{tmp_path / 'plain'} takes no new file" in found[None, "journal"]["message"]
    assert "--journal none" in found[None, "journal"]["advice"]
    assert doctor("sim", "--journal", str(tmp_path / "new" / "j.sqlite3"))[1][None, "journal"]["level"] == "ok"


def test_a_connection_that_is_not_there(doctor):
    """The advice is to make it, of the backend that was named in its place."""
    code, found = doctor("simm")
    assert (code, found["simm", "settings"]["advice"]) == (2, "configure it: flowrunner init simm")
    code, found = doctor("invision")
    assert (code, found["invision", "settings"]["advice"]) == (2, "configure it: flowrunner init --backend invision")


def test_a_credential_that_others_may_read(doctor, config, simulator, tmp_path):
    """The file is named, with the command that closes it."""
    secret = tmp_path / "token"
    secret.write_text(simulator.token)
    secret.chmod(0o644)
    add(config, "open", base_url=simulator.base_url)
    with config.open("a") as file:
        file.write('token = { file = "token" }\n')
    if os.name == "posix":
        assert doctor("open")[1]["open", "secrets"]["advice"] == f"chmod 600 {secret}"
    secret.chmod(0o600)
    assert levels(doctor("open")[1])["open", "secrets"] == "ok"
    assert not _is_open(secret)


def test_a_vendor_that_shows_nothing(doctor, config):
    """InVision has no request for it: that is no failure."""
    with serving() as server:
        add(config, "inv", "invision", base_url=server.url, api_key="k")
        code, found = doctor("inv")
    assert (code, found["inv", "credential"]["level"]) == (0, "skip")


def test_a_backend_without_an_address(doctor, config, install):
    """There is nothing to reach."""
    source = (
        "from flowrunner.backend import Backend\n"
        "class Near(Backend):\n    backend_api = 1\n    name = family = 'near'\n    capabilities = frozenset()\n"
    )
    install("flowrunner-near", "near_doc", source, near="near_doc:Near")
    add(config, "near", "near")
    code, found = doctor("near")
    assert (code, ("near", "tls") in found, found["near", "credential"]["level"]) == (0, False, "skip")


def test_a_health_check_that_raises_is_a_failure(doctor, monkeypatch):
    """With the exit code of its error."""

    def busy(_client):
        raise RateLimited("too many requests")

    monkeypatch.setattr(Client, "health", busy)
    code, found = doctor("sim")
    assert (code, found["sim", "credential"]["message"]) == (7, "too many requests")


@pytest.mark.parametrize(
    ("health", "level", "code"),
    [
        (Health(reachable=False), Level.FAIL, 7),
        (Health(reachable=True, authenticated=False), Level.FAIL, 8),
        (Health(reachable=True), Level.SKIP, 0),
        (Health(reachable=True, authenticated=True), Level.OK, 0),
    ],
)
def test_what_the_health_says_of_a_credential(health, level, code):
    """Not known is not refused."""
    assert (_credential(health).level, _credential(health).code) == (level, code)


@pytest.mark.parametrize(
    ("health", "server"),
    [
        (Health(reachable=True, authenticated=True, healthy=False), ("warn", "the server says that it cannot work")),
        (Health(reachable=True, authenticated=True), ("skip", "it does not tell its version")),
        (Health(reachable=True, authenticated=True, version="1"), ("ok", "1")),
        (Health(reachable=False), None),
    ],
)
def test_what_the_health_says_of_the_server(doctor, monkeypatch, health, server):
    """A server that cannot work is no fault of the configuration: a warning."""
    monkeypatch.setattr(Client, "health", lambda _client: health)
    found = doctor("sim")[1].get(("sim", "server"))
    assert (found and (found["level"], found["message"])) == server


@pytest.mark.parametrize(
    ("ahead", "level", "said"),
    [(0, Level.OK, "the same as the server's"), (45, Level.WARN, "s behind the"), (-45, Level.WARN, "s ahead of the")],
)
def test_clocks(ahead, level, said):
    """Half a minute apart is too far: submissions are found by their time."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    finding = _clock(Response(200, {"date": date}))
    assert (finding.level, said in finding.message) == (level, True)


@pytest.mark.parametrize(
    ("date", "level"), [("", "skip"), ("soon", "skip"), ("Thu, 26 Nov 2026 09:00:00 -0000", "warn")]
)
def test_a_date_that_says_nothing(date, level):
    """One that cannot be read is none; one without a zone is UTC."""
    assert str(_clock(Response(200, {"date": date} if date else {})).level) == level


def test_on_a_terminal_long_lines_are_broken(cli, monkeypatch):
    """At spaces, below each other."""
    monkeypatch.setattr("flowrunner.cli.doctor.sys", type("S", (), {"stdout": type("O", (), {"isatty": lambda: True})}))
    shown = cli("doctor", "smi", COLUMNS="40").stdout
    assert all(len(line) <= 40 or " " not in line.strip() for line in shown.splitlines())
    assert "fail  smi: settings: there is no\n      connection" in shown
