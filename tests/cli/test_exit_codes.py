"""Exit codes: every error has one, and the numbers stay."""

from __future__ import annotations

import pytest

from flowrunner import RunState, RunStatus, errors
from flowrunner.cli.exit_codes import ExitCode
from flowrunner.cli.outcome import code_of, code_of_state, error_object

STATUS = RunStatus(state=RunState.RUNNING)
EXPECTED = {
    "FlowrunnerError": 1, "ClientClosed": 1,
    "ConfigError": 2, "UnknownConnection": 2, "UnknownBackend": 2, "BackendLoadError": 2, "JournalError": 2,
    "InvalidRequest": 2, "InvalidParameters": 2, "UnsupportedOperation": 2, "UnsupportedOption": 2,
    "RunFailed": 3, "RunCancelled": 4, "InputRequired": 5, "WaitTimeout": 6,
    "ContactLost": 7, "TransportError": 7, "VendorError": 7, "RateLimited": 7, "ProtocolError": 7,
    "AuthenticationError": 8, "PermissionDenied": 8, "FlowNotFound": 9, "RunNotFound": 9,
    "SubmissionUncertain": 10, "RunLost": 11,
}  # fmt: skip


def test_every_error_has_its_exit_code():
    """The numbers are a promise to scripts; an error nobody thought of shows here."""
    classes = [getattr(errors, name) for name in errors.__all__]

    assert {each.__name__: int(code_of(each.__new__(each, "text"))) for each in classes} == EXPECTED


@pytest.mark.parametrize("state", [state for state in RunState if state.is_final])
def test_every_final_state_has_its_exit_code(state):
    """The states tell the same as the errors of the same name."""
    assert {"succeeded": 0, "failed": 3, "cancelled": 4, "lost": 11}[state] == code_of_state(state)


def test_every_exit_code_is_explained_and_used_once():
    """The help lists them all."""
    assert all(code.meaning for code in ExitCode)
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 130]


def test_an_error_as_json_carries_its_data():
    """Whoever reads it need not read the text."""
    error = errors.VendorError("broken", connection="sim", http_status=503, retry_after=3.0, transient=True)

    assert error_object(error) == {
        "error": "VendorError",
        "message": "broken",
        "exit_code": 7,
        "connection": "sim",
        "backend": None,
        "ref": None,
        "http_status": 503,
        "vendor_message": None,
        "retry_after": 3.0,
        "transient": True,
    }
