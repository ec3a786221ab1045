"""What Airflow reads to know that this is here: the connection type with its form, and the link of the operator."""

from __future__ import annotations

from typing import Any

from flowrunner_airflow.form import fields

__all__ = ["get_provider_info"]


def get_provider_info() -> dict[str, Any]:
    """The provider, in the form that the entry point `apache_airflow_provider` asks for."""
    return {
        "package-name": "flowrunner-airflow",
        "name": "flowrunner",
        "description": "Runs at FME Flow, InVision, Smart Flows and other workflow servers.",
        "connection-types": [
            {
                "connection-type": "flowrunner",
                "hook-class-name": "flowrunner_airflow.hook.FlowrunnerHook",
                "hook-name": "flowrunner (workflow servers)",
                "ui-field-behaviour": {
                    "hidden-fields": ["port", "schema"],
                    "relabeling": {
                        "host": "Address",
                        "login": "User, where there is no token or key",
                        "password": "Token, API key or password",
                        "extra": "Settings of other backends",
                    },
                    "placeholders": {"host": "https://fme.example.com", "extra": "{}"},
                },
                "conn-fields": fields(),
            }
        ],
        "extra-links": ["flowrunner_airflow.link.RunLink"],
    }
