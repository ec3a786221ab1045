"""What Airflow reads of the distribution: the provider, its connection type and that type's form."""

from __future__ import annotations

import json
import logging
from importlib.resources import files

import pytest
from airflow.providers_manager import ProvidersManager
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
from airflow.triggers.base import BaseTrigger
from jsonschema import Draft7Validator

import flowrunner_airflow
from flowrunner import registry
from flowrunner.config.settings import declared
from flowrunner_airflow import form
from flowrunner_airflow.connections import CREDENTIALS, STANDARD
from flowrunner_airflow.provider import get_provider_info


def test_airflow_accepts_what_the_provider_says():
    """It keeps to Airflow's schema."""
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
    assert list(Draft7Validator(schema).iter_errors(get_provider_info())) == []


def test_airflow_finds_it(caplog):
    """The connection type, its fields and the link are there, and Airflow has nothing to complain of."""
    caplog.set_level(logging.WARNING)
    manager = ProvidersManager()
    assert manager.providers["flowrunner-airflow"].version
    hook = manager.hooks["flowrunner"]
    assert (hook.connection_testable, hook.connection_id_attribute_name) == (True, "flowrunner_conn_id")
    assert "extra__flowrunner__backend" in manager.connection_form_widgets
    assert "flowrunner_airflow.link.RunLink" in manager.extra_links_class_names
    assert [record.getMessage() for record in caplog.records if "flowrunner" in record.getMessage()] == []


@pytest.mark.parametrize("backend", sorted(registry.BUILTINS))
def test_the_form_has_every_setting(backend):
    """Each setting of each backend has a field: one of its own, or one that every connection has."""
    missing = set(declared(registry.load(backend).settings_class)) - set(form.fields()) - STANDARD - CREDENTIALS
    assert missing == set()


def test_the_form_has_no_other():
    """What no backend declares is `backend` and the page of a run."""
    settings = {name for backend in registry.BUILTINS for name in declared(registry.load(backend).settings_class)}
    assert set(form.fields()) - settings == {"backend", "run_url"}


def test_what_must_not_be_seen_is_not():
    """Credentials go into the password; a proxy's address may hold one."""
    assert form.fields()["proxy"]["schema"]["format"] == "password"
    assert CREDENTIALS.isdisjoint(form.fields())


def test_a_field_says_what_it_is():
    """Label, help, type and choices come from the setting, and no default is written into a connection."""
    fields = form.fields()
    assert fields["ca_file"]["label"] == "CA file"
    assert fields["max_long_polls"]["schema"] == {"type": ["integer", "null"]}
    assert fields["max_long_polls"]["description"].endswith("Default: 8.")
    assert fields["transport"]["schema"]["enum"] == ["httpx", "aiohttp", None]
    assert fields["backend"]["schema"]["enum"] == list(registry.names())
    assert fields["status_map"]["schema"] == {"type": ["object", "null"]}
    assert [name for name, field in fields.items() if "default" in field["schema"]] == []


def test_names():
    """What the package exports is there, and nothing else is."""
    kinds = {
        "FlowrunnerHook": BaseHook,
        "FlowrunnerOperator": BaseOperator,
        "FlowrunnerSensor": BaseSensorOperator,
        "FollowTrigger": BaseTrigger,
    }
    assert sorted(kinds) == flowrunner_airflow.__all__
    for name, kind in kinds.items():
        assert issubclass(getattr(flowrunner_airflow, name), kind)
    with pytest.raises(AttributeError, match="no attribute 'Operator'"):
        _ = flowrunner_airflow.Operator
