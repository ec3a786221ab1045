"""No secret is in anything that Airflow keeps or shows, wherever a connection has it and however the task ends.

Airflow masks what it knows to be secret, and would hide what is wrong here: it masks nothing, but where that is tested.
"""

from __future__ import annotations

import json
import os
import sqlite3
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from airflow.models.connection import Connection
from airflow.models.trigger import Trigger
from airflow.sdk._shared.secrets_masker.secrets_masker import SecretsMasker
from airflow.utils.session import create_session
from sqlalchemy import delete, select

from flowrunner.simulator import Behaviour
from flowrunner_airflow import FlowrunnerOperator

HOME = Path(os.environ["AIRFLOW_HOME"])
WORD = "unmistakable-w0rd"
FLOW = "Samples/austinDownload.fmw"
PARAMETERS = {"MAXY": 42, "THEMES": ["airports"]}
REPORT = "5b0c1f4e-92d3-4d0a-8a61-7c1e5f2ab002"


@pytest.fixture
def unmasked(monkeypatch):
    """Airflow masks nothing."""
    monkeypatch.setattr(SecretsMasker, "add_mask", lambda *args: None)


@pytest.fixture
def in_variable(monkeypatch):
    """Have Airflow read a connection from a variable, as an address or as JSON."""

    def put(simulator, fields):
        if isinstance(fields, str):
            where = simulator.base_url.removeprefix("http://")
            written = f"flowrunner://{fields}".replace("@/", f"@{where}/http")
        else:
            written = json.dumps({"conn_type": "flowrunner", "host": simulator.base_url, **fields})
        monkeypatch.setenv("AIRFLOW_CONN_GIVEN", written)

    return put


@pytest.fixture
def in_database(new_database):
    """Save a connection in Airflow's database, as its form does. Only workers find it there in `dag.test()`."""

    def save(simulator, fields):
        fields = {"host": simulator.base_url, **fields, "extra": json.dumps(fields["extra"])}
        with create_session() as session:
            session.add(Connection(conn_id="given", conn_type="flowrunner", **fields))

    yield save
    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id == "given"))


@pytest.fixture
def kept(new_database, capfd):
    """Everything that Airflow has shown, or written, but for the table of connections, which is for secrets."""

    def read():
        with closing(sqlite3.connect(HOME / "airflow.db")) as tables:
            names = {name for (name,) in tables.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            rows = [tables.execute(f'SELECT * FROM "{name}"').fetchall() for name in names - {"connection"}]
        with create_session() as session:  # what triggers are made of is encrypted in their table
            rows.append([trigger.kwargs for trigger in session.scalars(select(Trigger))])
        files = [path.read_bytes() for path in HOME.rglob("*") if path.is_file() and "airflow.db" not in path.name]
        return repr([rows, files, capfd.readouterr()])

    return read


def in_any_form(word):
    """A word as it is, and as a header has it."""
    return word, b64encode(word.encode()).decode(), b64encode(f"ada:{word}".encode()).decode()


FIELDS = {
    "password": {"password": WORD, "extra": {"backend": "fme-flow"}},
    "token": {"extra": {"backend": "fme-flow", "token": WORD}},
    "api_key": {"extra": {"backend": "smart-flows", "api_key": WORD}},
    "login": {"login": "ada", "password": WORD, "extra": {"backend": "smart-flows"}},
}
WRONG_FIELDS = {
    "no-proxy": {"password": "another", "extra": {"backend": "fme-flow", "proxy": f"http://ada:{WORD}@127.0.0.1:9"}},
    "no-scheme": {"password": "another", "extra": {"backend": "fme-flow", "proxy": f"ada:{WORD}@127.0.0.1:9"}},
    "no-setting": {"password": "another", "extra": {"backend": "fme-flow", "tokn": WORD}},
    "no-number": {"password": "another", "extra": {"backend": "fme-flow", "timeout": WORD}},
    "no-header": {"password": f"{WORD}\n", "extra": {"backend": "fme-flow"}},
}
ADDRESSES = {
    "address-password": f":{WORD}@/?backend=fme-flow",
    "address-login": f"ada:{WORD}@/?backend=smart-flows",
    "address-token": f"@/?backend=fme-flow&token={WORD}",
    "address-json": f"@/?__extra__={quote(json.dumps({'backend': 'fme-flow', 'token': WORD}))}",
}


@pytest.fixture
def opened_by(simulated):
    """Start the server that a connection is for; a word opens it."""

    def start(word, given):
        vendor = "smart-flows" if "smart-flows" in str(given) else "fme-flow"
        simulator = simulated(vendor, token=word)
        if vendor == "smart-flows":
            simulator.world.accounts.passwords["ada"] = word
        return simulator

    return start


def task(simulator, **arguments):
    """Makes the task of a DAG."""
    is_fme = simulator.vendor == "fme-flow"
    what = {"flow": FLOW, "parameters": PARAMETERS} if is_fme else {"flow": REPORT}
    simulator.pool.script(what["flow"], Behaviour(duration=50))
    return lambda: FlowrunnerOperator(task_id="run", flowrunner_conn_id="given", **{**what, "retries": 0, **arguments})


@pytest.mark.usefixtures("unmasked")
@pytest.mark.parametrize("given", (FIELDS | ADDRESSES).values(), ids=FIELDS | ADDRESSES)
def test_a_task_that_succeeds(stage, in_variable, opened_by, kept, given):
    """It is deferred and followed, and leaves all it can: the word is in none of it."""
    simulator = opened_by(WORD, given)
    in_variable(simulator, given)
    ran = stage.run(task(simulator, xcoms=("outputs", "artifacts", "metrics"), logs=True))
    assert (ran.state, len(simulator.books)) == ("success", 1)
    written = kept()
    assert ran.xcom() in written
    assert [form for form in in_any_form(WORD) if form in written] == []


@pytest.mark.usefixtures("unmasked")
@pytest.mark.parametrize("given", (FIELDS | WRONG_FIELDS).values(), ids=FIELDS | WRONG_FIELDS)
def test_a_task_that_fails(stage, in_database, opened_by, kept, given):
    """The server does not accept it, or the connection is wrong: the error and its traceback do not have it either."""
    simulator = opened_by("another-one", given)
    in_database(simulator, given)
    ran = stage.run(task(simulator))
    assert (ran.state, len(simulator.books)) == ("failed", 0)
    assert bool(len(simulator.requests)) is (given in FIELDS.values())
    assert [form for form in in_any_form(WORD) if form in kept()] == []


@pytest.mark.usefixtures("unmasked")
def test_a_task_that_loses_its_server(stage, in_variable, opened_by, kept):
    """The token is withdrawn while the task is deferred, and the server repeats it when it says so."""
    given = FIELDS["token"]
    simulator = opened_by(WORD, given)
    in_variable(simulator, given)
    simulator.respond_next("*/jobs*", 401, {"message": f"bad token {WORD}"}, method="GET", times=9)
    ran = stage.run(task(simulator))
    assert (ran.state, len(simulator.books)) == ("failed", 1)
    assert [form for form in in_any_form(WORD) if form in kept()] == []


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_a_password_that_is_a_parameter(stage, in_variable, opened_by, kept, outcome):
    """From a connection it comes as a template, which Airflow keeps, and of which it shows no value."""
    given = {"password": WORD, "extra": {"backend": "fme-flow"}}
    simulator = opened_by(WORD, given)
    in_variable(simulator, given)
    parameters = {**PARAMETERS, "userName": "{{ conn.given.password }}"}
    make = task(simulator, parameters=parameters, xcoms=("outputs", "artifacts", "metrics"))
    simulator.pool.script(FLOW, Behaviour(duration=50, outcome=outcome))
    stage.run(make)
    (submission,) = simulator.books
    assert WORD in repr(submission.job.parameters)
    written = kept()
    assert "{{ conn.given.password }}" in written
    assert WORD not in written
