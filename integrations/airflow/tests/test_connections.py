"""Connections of Airflow, and the settings of flowrunner that they stand for."""

from __future__ import annotations

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowFailException

import flowrunner
from flowrunner import RunRef
from flowrunner_airflow.connections import server

HOST = "https://fme.example.com"


def read(uri=None, **fields):
    """What a connection says."""
    connection = Connection(conn_id="prod", **({"uri": uri} if uri else {"conn_type": "flowrunner", **fields}))
    return server(connection, connection.extra_dejson)


@pytest.mark.parametrize(
    ("backend", "fields", "settings"),
    [
        ("fme-flow", {"password": "s3cret"}, {"token": "s3cret"}),
        ("fme-flow-v3", {"password": "s3cret"}, {"token": "s3cret"}),
        ("fme-flow-v4", {"password": "s3cret"}, {"token": "s3cret"}),
        ("invision", {"password": "s3cret"}, {"api_key": "s3cret"}),
        ("smart-flows", {"password": "s3cret"}, {"api_key": "s3cret"}),
        ("smart-flows", {"login": "ada", "password": "s3cret"}, {"username": "ada", "password": "s3cret"}),
    ],
)
def test_the_password_is_what_the_backend_asks_for(backend, fields, settings):
    """Token, API key, or the password of the user that is named; flowrunner connects with that."""
    found = read(host=HOST, extra=f'{{"backend": "{backend}"}}', **fields)
    assert found.settings == {"backend": backend, "base_url": HOST, **settings}
    with flowrunner.connect(**found.settings) as client:
        assert client.backend == backend


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"host": HOST}, HOST),
        ({"host": "http://127.0.0.1:8080/fme"}, "http://127.0.0.1:8080/fme"),
        ({"host": "fme.example.com"}, HOST),
        ({"host": "fme.example.com", "port": 8443}, "https://fme.example.com:8443"),
        ({"host": "127.0.0.1", "schema": "http", "port": 80}, "http://127.0.0.1:80"),
    ],
)
def test_the_address(fields, address):
    """The host is the address, or all of it that is not the usual."""
    found = read(password="t", extra='{"backend": "fme-flow"}', **fields)
    assert found.settings["base_url"] == address


def test_extras_are_settings():
    """What a form left empty is not set; a credential may be an extra, too; what is nothing by itself counts."""
    extra = '{"backend": "fme-flow", "token": "t", "timeout": 5, "proxy": "", "ca_file": null, "allow_insecure": false}'
    found = read(host=HOST, extra=extra)
    assert found.settings == {
        "backend": "fme-flow", "base_url": HOST, "token": "t", "timeout": 5, "allow_insecure": False,
    }  # fmt: skip


def test_a_connection_that_is_an_address():
    """In an address everything is text: it becomes what its setting takes."""
    words = "%7B%22ODD%22%3A%20%22running%22%7D"
    found = read(
        f"flowrunner://:s3cret@fme.example.com/?backend=fme-flow&timeout=5&retries=2&check_parameters=no&status_map={words}"
    )
    assert found.settings == {
        "backend": "fme-flow", "base_url": HOST, "token": "s3cret",
        "timeout": 5.0, "retries": 2, "check_parameters": False, "status_map": {"ODD": "running"},
    }  # fmt: skip
    flowrunner.connect(**found.settings).close()


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("{}", "connection 'prod' has no extra `backend`: one of fme-flow, "),
        ('{"backend": "fme-flo"}', "connection 'prod': there is no backend 'fme-flo'.*fme-flow"),
        ('{"backend": "fme-flow", "timeout": "s3cret"}', "connection 'prod': timeout: expected a number"),
        ('{"backend": "fme-flow", "status_map": "s3cret"}', "connection 'prod': status_map: "),
    ],
)
def test_a_connection_that_is_wrong(extra, said):
    """The error names the connection and what is wrong, and no attempt is made again; it shows no value."""
    with pytest.raises(AirflowFailException, match=said) as caught:
        read(host=HOST, extra=extra)
    assert "s3cret" not in str(caught.value)


def test_nothing_shows_the_credential():
    """Not even what is printed of it by mistake."""
    assert repr(read(host=HOST, password="s3cret", extra='{"backend": "fme-flow"}')) == f"<Server {HOST}>"


def test_the_page_of_a_run():
    """It is the address that the connection gives, with what is the run's; none where it gives none."""
    ref = RunRef("c", "fme-flow", "Samples/a.fmw", "42")
    extra = '{"backend": "fme-flow", "token": "t", "run_url": "https://fme.example.com/jobs/{id}?of={flow}"}'
    assert read(host=HOST, extra=extra).page_of(ref) == "https://fme.example.com/jobs/42?of=Samples/a.fmw"
    assert read(host=HOST, extra='{"backend": "fme-flow", "token": "t"}').page_of(ref) == ""
