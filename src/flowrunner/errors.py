"""Everything flowrunner raises.

```
FlowrunnerError
├── ConfigError                 the configuration or an argument of connect() is wrong
│   ├── UnknownConnection       no connection of that name
│   ├── UnknownBackend          no backend of that name
│   └── BackendLoadError        the backend is known and cannot be loaded
├── JournalError                the journal cannot be used
├── ClientClosed                the client was closed, or the value outlived it
├── AuthenticationError         401: the credential is missing, wrong or expired
├── PermissionDenied            403: the credential is good and may not do this
├── FlowNotFound                the vendor has no such flow, or hides it
├── RunNotFound                 the vendor has no such run, or hides it
├── InvalidRequest              the vendor, or a check made for it, refused what was asked
│   ├── InvalidParameters       ... because of the parameters, see `.problems`
│   └── UnsupportedOption       ... because of an option this backend cannot honour
├── UnsupportedOperation        the backend lacks the capability; no request was made
│   └── UnsupportedOption
├── RateLimited                 429: too many requests
├── VendorError                 5xx: the vendor failed
├── ProtocolError               an answer that makes no sense
├── TransportError              no answer: the network, the name, TLS, a timeout
├── SubmissionUncertain         a submission that may or may not have started a run
├── ContactLost                 following failed for longer than `contact_budget`
├── WaitTimeout                 our wait ended, the run goes on (also a TimeoutError)
├── RunFailed                   the run ended in failure
├── RunCancelled                the run was cancelled
├── RunLost                     the vendor no longer knows the run
└── InputRequired               the run waits for a person
```

Every error can be pickled, and carries what is known as data: see `FlowrunnerError`. Their texts say what happened, to
what, and what to do; no text, attribute or traceback of theirs holds a credential.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowrunner.models import RunRef, RunResult, RunStatus
    from flowrunner.retries import Failure

__all__ = [
    "AuthenticationError",
    "BackendLoadError",
    "ClientClosed",
    "ConfigError",
    "ContactLost",
    "FlowNotFound",
    "FlowrunnerError",
    "InputRequired",
    "InvalidParameters",
    "InvalidRequest",
    "JournalError",
    "PermissionDenied",
    "ProtocolError",
    "RateLimited",
    "RunCancelled",
    "RunFailed",
    "RunLost",
    "RunNotFound",
    "SubmissionUncertain",
    "TransportError",
    "UnknownBackend",
    "UnknownConnection",
    "UnsupportedOperation",
    "UnsupportedOption",
    "VendorError",
    "WaitTimeout",
]


class FlowrunnerError(Exception):
    """The root of all errors of this library.

    Attributes:
        message: what happened and what to do, without the context that `str()` appends.
        connection: the connection it happened on, None before there is one.
        backend: the name of its backend.
        ref: the run it is about.
        http_status: the status code of the answer, where there was one.
        vendor_message: the vendor's own words, where it had any.
        retry_after: seconds the vendor asked to wait.
        transient: whether the same call may succeed later, unchanged.
    """

    def __init__(
        self,
        message: str,
        *,
        connection: str | None = None,
        backend: str | None = None,
        ref: RunRef | None = None,
        http_status: int | None = None,
        vendor_message: str | None = None,
        retry_after: float | None = None,
        transient: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.connection = connection
        self.backend = backend
        self.ref = ref
        self.http_status = http_status
        self.vendor_message = vendor_message
        self.retry_after = retry_after
        self.transient = transient

    def __str__(self) -> str:
        where = [f"connection {self.connection!r}"] if self.connection else []
        if self.ref is not None:
            where.append(f"run {self.ref}")
        return f"{self.message} ({', '.join(where)})" if where else self.message

    def __reduce__(self) -> tuple[Callable[..., FlowrunnerError], tuple[Any, ...]]:
        return _restore, (type(self), self.__dict__.copy())

    def locate(self, *, connection: str | None = None, backend: str | None = None, ref: RunRef | None = None) -> None:
        """Fill in where it happened, as far as that is not known yet."""
        self.connection = self.connection or connection
        self.backend = self.backend or backend
        self.ref = self.ref or ref

    def redact(self, hide: Callable[[str], str]) -> None:
        """Replace what must not be shown in every text that came from outside."""
        self.message = hide(self.message)
        self.args = (self.message,)
        if self.vendor_message is not None:
            self.vendor_message = hide(self.vendor_message)
        if hasattr(self, "__notes__"):
            self.__notes__ = [hide(note) for note in self.__notes__]


def _restore(cls: type[FlowrunnerError], state: Mapping[str, Any]) -> FlowrunnerError:
    error = cls.__new__(cls, state["message"])
    error.__dict__.update(state)
    error.args = (state["message"],)
    return error


class ConfigError(FlowrunnerError):
    """The configuration, or an argument given instead of it, is wrong. No request was made."""


class UnknownConnection(ConfigError):
    """No connection of this name is configured; the text names near misses, and says if it is the name of a backend."""


class UnknownBackend(ConfigError):
    """No backend of this name exists; the text names near misses."""


class BackendLoadError(ConfigError):
    """The backend is known by name and could not be loaded; the text gives the reason."""


class JournalError(FlowrunnerError):
    """The journal cannot be read or written. Nothing was submitted, unless `ref` has an id: then it is of that run."""


class ClientClosed(FlowrunnerError):
    """The client was closed, or a value that needs its client outlived it."""


class AuthenticationError(FlowrunnerError):
    """The vendor did not accept the credential (HTTP 401)."""


class PermissionDenied(FlowrunnerError):
    """The vendor knows the credential and it may not do this (HTTP 403)."""


class FlowNotFound(FlowrunnerError):
    """The vendor has no such flow, or the credential may not see it."""


class RunNotFound(FlowrunnerError):
    """The vendor has no such run, or the credential may not see it."""


class InvalidRequest(FlowrunnerError):
    """What was asked for makes no sense to the vendor, or to a check made on its behalf."""


class InvalidParameters(InvalidRequest):
    """The parameters do not fit the flow.

    Attributes:
        problems: a text per parameter, by its name.
    """

    def __init__(self, message: str, *, problems: Mapping[str, str] | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.problems: dict[str, str] = dict(problems or {})

    def redact(self, hide: Callable[[str], str]) -> None:
        """As `FlowrunnerError.redact`, in what this class adds, too."""
        super().redact(hide)
        self.problems = {name: hide(text) for name, text in self.problems.items()}


class UnsupportedOperation(FlowrunnerError):
    """The backend cannot do this; see `Client.capabilities`. No request was made."""


class UnsupportedOption(UnsupportedOperation, InvalidRequest):
    """An option of the submission that this backend cannot honour. Nothing was submitted.

    Attributes:
        option: its name.
    """

    def __init__(self, message: str, *, option: str, **context: Any) -> None:
        super().__init__(message, **context)
        self.option = option


class RateLimited(FlowrunnerError):
    """The vendor asks for fewer requests (HTTP 429)."""


class VendorError(FlowrunnerError):
    """The vendor failed (HTTP 5xx)."""


class ProtocolError(FlowrunnerError):
    """The answer makes no sense: HTML from a proxy, half a JSON, a redirect, a missing key.

    Attributes:
        body: the first 500 characters of the answer.
    """

    def __init__(self, message: str, *, body: str = "", **context: Any) -> None:
        super().__init__(message, **context)
        self.body = body

    def redact(self, hide: Callable[[str], str]) -> None:
        """As `FlowrunnerError.redact`, in what this class adds, too."""
        super().redact(hide)
        self.body = hide(self.body)


class TransportError(FlowrunnerError):
    """There was no answer: name resolution, connection, TLS, a timeout, a reset.

    Attributes:
        maybe_arrived: whether the request may have reached the vendor all the same.
        failure: what failed, see `flowrunner.retries`; None where that is not known.
    """

    def __init__(self, message: str, *, maybe_arrived: bool, failure: Failure | None = None, **context: Any) -> None:
        super().__init__(message, **{"transient": True, **context})
        self.maybe_arrived = maybe_arrived
        self.failure = failure


class SubmissionUncertain(FlowrunnerError):
    """A submission whose outcome is unknown: it may have started a run, or not. It was not repeated.

    Attributes:
        handle: a reference without an id, to find out with: `attach` it, and `reconcile()`. `ref` is the same. The
            cause is chained.
    """

    def __init__(self, message: str, *, handle: RunRef | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.handle = handle


class ContactLost(FlowrunnerError):
    """Following a run failed for longer than `contact_budget`. The run's state is what it was.

    Attributes:
        status: what was known last. The last failure is chained.
    """

    def __init__(self, message: str, *, status: RunStatus, **context: Any) -> None:
        super().__init__(message, **{"transient": True, **context})
        self.status = status


class WaitTimeout(FlowrunnerError, TimeoutError):
    """Our wait ended before the run did. The run goes on and can be waited for again.

    Attributes:
        status: what was known last.
    """

    def __init__(self, message: str, *, status: RunStatus, **context: Any) -> None:
        super().__init__(message, **{"transient": True, **context})
        self.status = status


class _RunEnded(FlowrunnerError):
    """The run ended, and not well.

    Attributes:
        result: all that is known of it.
    """

    def __init__(self, message: str, *, result: RunResult, **context: Any) -> None:
        super().__init__(message, **{"ref": result.ref, **context})
        self.result = result

    @property
    def status(self) -> RunStatus:
        """How the run ended."""
        return self.result.status


class RunFailed(_RunEnded):
    """The run ended in failure; `.status.cause` says whose."""


class RunCancelled(_RunEnded):
    """The run was cancelled; `.status.cause` says by whom."""


class RunLost(_RunEnded):
    """The vendor no longer knows the run: how it ended cannot be known."""


class InputRequired(FlowrunnerError):
    """The run waits for a person and will not end without an answer.

    Attributes:
        status: what was known last.
        schema: JSON Schema of the answers, where the vendor gives one.
        model: the answers as they stand: the vendor's defaults.
        form: how the vendor would lay the questions out.
    """

    def __init__(
        self,
        message: str,
        *,
        status: RunStatus,
        schema: Mapping[str, Any] | None = None,
        model: Mapping[str, Any] | None = None,
        form: Sequence[Any] = (),
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.status = status
        self.schema = schema
        self.model = model
        self.form = form
