"""The clients and their runs: thin, since all they do is written once in `operations`.

The sync and the async classes stand side by side and differ in `await` alone; read one and you know the other.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import asdict

from flowrunner.clock import SystemClock
from flowrunner.drive import adrive, drive
from flowrunner.errors import ClientClosed, FlowrunnerError, InvalidRequest
from flowrunner.models import Artifact, AsyncArtifact, MapItem
from flowrunner.operations import Operations
from flowrunner.operations.following import CLOSED
from flowrunner.operations.listing import Selection
from flowrunner.operations.steps import Ask, Attend
from flowrunner.plans import Request
from flowrunner.retries import Budget

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime, timedelta
    from types import TracebackType

    from flowrunner.backend import Backend, Capability, RunQuery, Submission
    from flowrunner.clock import Clock
    from flowrunner.config import Connection
    from flowrunner.enums import CancelOutcome, RunState
    from flowrunner.events import OnEvent
    from flowrunner.follow import Wait
    from flowrunner.http import AsyncHttpSession, HttpSession
    from flowrunner.journal.store import Journal
    from flowrunner.models import (
        ArtifactSource,
        FlowInfo,
        FlowSpec,
        Health,
        Progress,
        Reconciliation,
        RemoteFile,
        RunRef,
        RunResult,
        RunStatus,
        SubmitOptions,
    )
    from flowrunner.operations.mapping import Ended
    from flowrunner.operations.records import RunRecord
    from flowrunner.operations.steps import Operation, Pause
    from flowrunner.plans import Step

__all__ = ["AsyncClient", "AsyncRun", "Client", "Run"]

T = TypeVar("T")


class _ClientBase:
    """What both clients share: what needs no waiting."""

    def __init__(
        self,
        connection: Connection,
        *,
        on_event: OnEvent | None = None,
        clock: Clock | None = None,
        artifact: Callable[[ArtifactSource], Any],
        journal: Callable[[], Journal] | None = None,
    ) -> None:
        self._connection = connection
        self._backend = connection.backend(connection.settings)
        self._clock = clock or SystemClock()
        self._operations = Operations(
            connection, self._backend, clock=self._clock, on_event=on_event, artifact=artifact, journal=journal
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} over {self.backend}>"

    @property
    def name(self) -> str:
        """The connection: its configured name, or `backend@host:port/prefix`."""
        return self._connection.name

    @property
    def backend(self) -> str:
        """The name of the backend."""
        return self._backend.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this connection can do."""
        return self._backend.capabilities

    def _submission(self, *what: Any) -> Submission:
        return self._locally(lambda: self._operations.submitting.submission(*what))

    def _locally(self, function: Callable[[], T], ref: RunRef | None = None) -> T:
        try:
            return function()
        except FlowrunnerError as error:
            self._operations.context.located(error, ref)
            raise

    def _limits(self, asked: Ask[Any]) -> dict[str, Any]:
        """What holds for all requests of a plan together."""
        deadline = None if asked.at_most is None else self._clock.monotonic() + asked.at_most
        budget = Budget(self._connection.settings.retry_budget)
        return {"retry": asked.retry, "deadline": deadline, "budget": budget}

    def _reloaded(self) -> Backend:
        settings = self._connection.reload()
        self._operations.context.keep_secret(*settings.secrets())
        return self._connection.backend(settings)

    def _session_arguments(self) -> dict[str, Any]:
        return {
            "backend": self._backend,
            "reload": self._reloaded,
            "learned": lambda secrets: self._operations.context.keep_secret(*secrets),
            "clock": self._clock,
            "telemetry": self._operations.context.telemetry,
        }


class Client(_ClientBase):
    """A connection to a workflow server. Safe to share between threads; close it, or use it in a `with` block."""

    def __init__(
        self,
        connection: Connection,
        *,
        on_event: OnEvent | None = None,
        clock: Clock | None = None,
        journal: Callable[[], Journal] | None = None,
        session: Callable[..., HttpSession] | None = None,
    ) -> None:
        from flowrunner.follower import Follower
        from flowrunner.http import HttpSession

        super().__init__(connection, on_event=on_event, clock=clock, artifact=self._artifact, journal=journal)
        self._session: HttpSession = (session or HttpSession)(**self._session_arguments())
        self._follower = Follower(self._operations.following, self._perform, self._clock)

    def submit(
        self,
        flow: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        payload: Any = None,
        options: SubmitOptions | None = None,
        key: str | None = None,
    ) -> Run:
        """Start a run: one request, at most once.

        Args:
            flow: what to run, in the vendor's spelling.
            parameters: values by name, checked against the flow's description where there is one.
            payload: data for the flow, for a backend with the capability PAYLOAD.
            options: how to run it.
            key: the caller's idempotency key: the same key again gives the run that it started before. The journal
                remembers it; without one the client does, for as long as it lives, if the backend has RECONCILE.

        Raises:
            SubmissionUncertain: it is not known whether a run was started. Nothing was sent twice.
            JournalError: the journal cannot be written to; its text says whether anything was started.
            FlowNotFound: the vendor has no such flow.
            InvalidParameters: the parameters do not fit, see `.problems`.
            UnsupportedOperation: the backend cannot do something asked for.
        """
        submission = self._submission(flow, parameters, payload, options, key)
        return Run(self, self._perform(self._operations.submitting.submit(submission)))

    def run(
        self,
        flow: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout: float | timedelta | None = None,
        server_wait: bool = False,
        raise_on_failure: bool = True,
        payload: Any = None,
        options: SubmitOptions | None = None,
        key: str | None = None,
    ) -> RunResult:
        """Start a run and wait for it, as `submit` and `Run.wait` do.

        Args:
            flow: as for `submit`, as are the arguments not named here.
            parameters: as for `submit`.
            timeout: seconds (or a timedelta) to wait.
            server_wait: one request that the vendor answers when the run has ended. For short runs only: if the
                connection is cut, or the timeout passes, whether there is a run and how it ends is unknown.
            raise_on_failure: as for `Run.wait`.
            payload: as for `submit`.
            options: as for `submit`.
            key: as for `submit`.
        """
        submission = self._submission(flow, parameters, payload, options, key)
        operation = self._operations.submitting.run(
            submission, timeout, server_wait=server_wait, raise_on_failure=raise_on_failure
        )
        return self._perform(operation)

    def attach(self, ref: RunRef | str, *, submitted_at: datetime | None = None) -> Run:
        """A run that was started before, by its reference. Nothing is asked of the vendor.

        Args:
            ref: the reference, or the text that `str` gives of it.
            submitted_at: when it was submitted, where the caller wrote that down. It says that the vendor should know
                the run, which is LOST if that denies it for a while, and from when on `reconcile` looks for one that
                has no id yet.

        Raises:
            InvalidRequest: the text is no reference, or the reference belongs to another connection; or the time has
                no zone.
        """
        return Run(self, self._locally(lambda: self._operations.runs.attach(ref, submitted_at)))

    def runs(
        self,
        *,
        state: RunState | str | Iterable[RunState | str] | None = None,
        flow: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Run]:
        """The runs the vendor knows, newest first; pages are fetched as they are needed.

        Args:
            state: only runs in this state, or in one of these.
            flow: only runs of this flow.
            limit: so many at most.
        """
        query = self._locally(lambda: self._operations.listing.run_query(state, flow, limit))
        return self._listed(query)

    def _listed(self, query: RunQuery) -> Iterator[Run]:
        selection = Selection(query.limit)
        for item in self._pages(partial(self._operations.listing.runs, query), selection):
            yield Run(self, self._operations.runs.listed(item))

    def flows(self) -> Iterator[FlowInfo]:
        """What can be run."""
        return self._pages(self._operations.listing.flows, Selection())

    def describe(self, flow: str) -> FlowSpec:
        """What a flow takes.

        Raises:
            FlowNotFound: the vendor has no such flow, or the credential may not see it.
        """
        return self._perform(self._operations.submitting.describe(flow))

    def upload(
        self, path: str | os.PathLike[str], name: str | None = None, *, progress: Progress | None = None
    ) -> RemoteFile:
        """Bring a file to the vendor; what is returned can be the value of a parameter.

        Args:
            path: the file here.
            name: what to call it there; its own name if None.
            progress: called with the bytes sent, and those there are in all.

        Raises:
            InvalidRequest: there is no such file.
            UnsupportedOperation: the backend takes no files.
        """
        return self._perform(self._operations.files.upload(Path(path), name, progress))

    def download(
        self,
        file: RemoteFile | str,
        to: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
    ) -> Path:
        """Stream a file at the vendor to one here, which appears under its name only when it is whole.

        Args:
            file: what `upload` returned, or a reference in the vendor's spelling; one that ends in `/` names a folder,
                which comes as a zip.
            to: the file here, or a folder that takes it under its own name. A file that is there is replaced.
            progress: called with the bytes that came, and those there are in all, where that is known.
        """
        return self._perform(self._operations.files.download(str(file), to, progress))

    def remove(self, file: RemoteFile) -> None:
        """Remove a file from the vendor that `upload`, or a submission, brought there. It may be gone already."""
        self._perform(self._operations.files.remove(file))

    def as_completed(self, runs: Iterable[Run], *, timeout: float | timedelta | None = None) -> Iterator[Run]:
        """The runs in the order in which they come to their ends; many of them cost the vendor little more than one.

        A run that waits for a person comes, too: without an answer it will not go on. Details are not fetched.

        Args:
            runs: of this client.
            timeout: seconds (or a timedelta) for all of them.

        Raises:
            WaitTimeout: as `Run.wait`.
            ContactLost: as `Run.wait`.
            InvalidRequest: a run has no id, or is another client's.
        """
        given = self._locally(lambda: _Given(self, runs))
        together = self._locally(lambda: self._operations.together(given.records, timeout))

        def completed() -> Iterator[Run]:
            with closing(together):
                while (record := self._perform(together.next_record())) is not None:
                    yield from given.of(record)

        return completed()

    def wait_all(self, runs: Iterable[Run], *, timeout: float | timedelta | None = None) -> list[Run]:
        """The runs, when all of them have come to their ends; as `as_completed`, in the order they were given in."""
        given = list(runs)
        for _ in self.as_completed(given, timeout=timeout):
            pass
        return given

    def map(
        self,
        flow: str,
        parameter_sets: Iterable[Mapping[str, Any] | None],
        *,
        max_in_flight: int = 8,
        options: SubmitOptions | None = None,
        key: Callable[[int, Mapping[str, Any] | None], str] | None = None,
    ) -> Iterator[MapItem]:
        """Run a flow for each set of parameters, so many at a time, and give what became of each as it ends.

        Nothing is raised for an item and none is lost: what went wrong is in its `error`. How a run ended is in
        `run.status`. A set is taken from the iterable when there is room for its run. Nothing is started before the
        first item is taken, and whoever stops taking items stops starting runs; those that were started go on.

        Args:
            flow: what to run.
            parameter_sets: each as `submit` takes it.
            max_in_flight: how many runs may live at once.
            options: how to run it, for all of them.
            key: gives each set the key of its run, of its place among the sets, from 0, and the set itself. A set whose
                key was submitted before gets the run that it has.

        Raises:
            InvalidRequest: `max_in_flight` is less than 1, `options` are none, or `parameter_sets` is a single mapping.
        """
        mapped = self._locally(lambda: self._operations.mapped(flow, parameter_sets, max_in_flight, options, key))

        def items() -> Iterator[MapItem]:
            with closing(mapped):
                for index, parameters in enumerate(parameter_sets):
                    yield from self._item(mapped.start(index, parameters))
                    if mapped.is_full():  # before another set is taken
                        yield from self._item(mapped.next())
                while ended := list(self._item(mapped.next())):
                    yield from ended

        return items()

    def _item(self, operation: Operation[Ended | None]) -> Iterator[MapItem]:
        if (ended := self._perform(operation)) is not None:
            run = None if ended.record is None else Run(self, ended.record)
            yield MapItem(ended.index, ended.parameters, run, ended.error)

    def recover(self) -> list[Run]:
        """The runs that the journal knows and has not seen end, oldest first, as they stood last.

        A submission whose outcome is unknown is looked for at the vendor; one that is still unresolved comes as a run
        that is SUBMITTING and has no id.

        Raises:
            UnsupportedOperation: there is no journal.
        """
        return [Run(self, record) for record in self._perform(self._operations.reconciling.recover())]

    def health(self) -> Health:
        """How the connection stands. A server that cannot be reached is an answer, not an error."""
        return self._perform(self._operations.listing.health())

    def close(self) -> None:
        """Close the connections and the journal; runs go on at the vendor. Closing twice does no harm."""
        self._operations.following.close(ClientClosed(CLOSED))
        self._session.close()
        self._operations.context.telemetry.close()
        self._operations.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _pages(self, operation: Callable[[Any], Operation[Any]], selection: Selection) -> Iterator[Any]:
        cursor = None
        while not selection.is_full():
            page = self._perform(operation(cursor))
            yield from selection.of(page)
            cursor = page.next
            if cursor is None:
                return

    def _artifact(self, source: ArtifactSource) -> Artifact:
        return Artifact(**asdict(source), fetch=self._download)

    def _download(self, artifact: ArtifactSource, to: Path, progress: Progress | None) -> Path:
        return self._perform(self._operations.files.download_artifact(artifact, to, progress))

    def _perform(self, operation: Operation[T], ref: RunRef | None = None) -> T:
        self._follower.forked()
        try:
            return drive(operation, self._step)
        except FlowrunnerError as error:
            self._operations.context.located(error, ref)
            raise

    def _step(self, step: Ask[Any] | Attend | Pause) -> Any:
        if isinstance(step, Ask):
            return drive(step.plan, partial(self._send, self._limits(step)))
        if isinstance(step, Attend):
            return self._follower.attend(step.crowd)
        return self._clock.sleep(step.seconds) if step.seconds else None

    def _send(self, limits: Mapping[str, Any], step: Step) -> Any:
        if isinstance(step, Request):
            return self._session.send(step, **limits)
        return step.function()


class _RunBase:
    """What both kinds of run share: what is known, without asking."""

    __slots__ = ("_client", "_record")

    def __init__(self, client: Any, record: RunRecord) -> None:
        self._client = client
        self._record = record

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.ref} {self.status.state}>"

    @property
    def ref(self) -> RunRef:
        """Where the run lives; `str()` of it is one line that `attach` takes."""
        return self._record.ref

    @property
    def id(self) -> str | None:
        """The vendor's id; None while it is not known whether the vendor has the run."""
        return self._record.ref.id

    @property
    def flow(self) -> str:
        """The flow, in the vendor's spelling."""
        return self._record.ref.flow

    @property
    def status(self) -> RunStatus:
        """What is known; nothing is asked."""
        return self._record.status

    @property
    def uploads(self) -> tuple[RemoteFile, ...]:
        """The files that submitting it brought to the vendor; `Client.remove` takes each away again."""
        uploads: tuple[RemoteFile, ...] = self._record.uploads
        return uploads

    @property
    def history(self) -> tuple[RunStatus, ...]:
        """What was known, one entry a change, oldest first; the last 200."""
        return self._record.history


class Run(_RunBase):
    """A run: follow it, cancel it, read what it made."""

    __slots__ = ()
    _client: Client

    def refresh(self) -> RunStatus:
        """Look once.

        Raises:
            RunNotFound: the vendor does not know the run, and nobody has seen it before.
            InvalidRequest: it was attached as the run of one key, and is that of another.
            FlowrunnerError: what happened; it says nothing about the run.
        """
        return self._perform(self._operations.following.refresh(self._record))

    def wait(
        self, timeout: float | timedelta | None = None, *, until: str = "terminal", raise_on_failure: bool = True
    ) -> RunResult:
        """Wait for the end.

        Args:
            timeout: seconds (or a timedelta) to wait for it, without end if None; 0 looks once.
            until: `terminal`, or `attention` to return also when the run waits for a person or an event.
            raise_on_failure: whether a run that did not succeed is an error.

        Raises:
            RunFailed: it failed.
            RunCancelled: it was cancelled.
            RunLost: the vendor no longer knows it.
            InputRequired: it waits for a person, whatever `raise_on_failure`.
            WaitTimeout: our wait is over; the run goes on and can be waited for again.
            ContactLost: the vendor could not be reached for `contact_budget`; as above.
        """
        results = self._operations.results
        deadline = self._locally(lambda: results.deadline(timeout))
        return self._perform(results.wait(self._record, deadline, until, raise_on_failure=raise_on_failure))

    def watch(self, timeout: float | timedelta | None = None) -> Iterator[RunStatus]:
        """Every change from now on, as it is seen; ends after the final one. A run that has ended shows that alone.

        Raises:
            WaitTimeout: as `wait`.
            ContactLost: as `wait`.
        """
        watching = self._locally(lambda: self._operations.following.watch(self._record, timeout))

        def changes() -> Iterator[RunStatus]:
            while (status := self._perform(watching.next())) is not None:
                yield status

        return changes()

    def resume(self, answers: Mapping[str, Any]) -> RunStatus:
        """Answer a run that waits for a person, and let it go on.

        Args:
            answers: by the keys of the schema; what is left out stays as the vendor proposes.

        Raises:
            InvalidParameters: the answers do not fit the schema, see `.problems`. Nothing was sent.
            InvalidRequest: the run does not wait for anyone.
            UnsupportedOperation: the backend has no such runs.
        """
        return self._perform(self._operations.results.resume(self._record, answers))

    def cancel(self) -> CancelOutcome:
        """Ask the vendor to cancel.

        Returns:
            CONFIRMED, REQUESTED (wait for the end), or TOO_LATE (`status` says how it had ended).
        """
        return self._perform(self._operations.results.cancel(self._record))

    def reconcile(self) -> Reconciliation:
        """Find out whether a submission whose outcome is unknown started a run, for a run that is SUBMITTING.

        Returns:
            FOUND: the vendor shows a run with this key, and this run goes on as that one. NOT_FOUND: it shows none, as
            of then; the same key may be submitted again. CANDIDATES: it carries no keys, and shows runs that may be it.
            UNKNOWABLE: it has no way to tell.
        """
        return self._perform(self._operations.reconciling.reconcile(self._record))

    def result(self) -> RunResult:
        """Outputs, artifacts and metrics of the finished run, however it ended.

        Raises:
            InvalidRequest: it has not ended.
        """
        return self._perform(self._operations.results.result(self._record))

    def logs(self) -> Iterator[str]:
        """The lines of the run's log, as they come; one of more than a million characters comes in parts.

        Raises:
            UnsupportedOperation: the backend has no logs.
        """
        lines: Any = self._perform(self._operations.results.logs(self._record))
        try:
            yield from lines
        except FlowrunnerError as error:
            self._operations.context.located(error, self.ref)
            raise

    @property
    def _operations(self) -> Operations:
        return self._client._operations  # noqa: SLF001 - a run is part of its client

    def _locally(self, function: Callable[[], T]) -> T:
        return self._client._locally(function, self.ref)  # noqa: SLF001 - as above

    def _perform(self, operation: Operation[T]) -> T:
        return self._client._perform(operation, self.ref)  # noqa: SLF001 - as above


class _Given:
    """The runs a caller gave, by what is known of them: two may be of one record, and each is to come."""

    def __init__(self, client: _ClientBase, runs: Iterable[Any]) -> None:
        self.records: dict[RunRecord, Any] = {}
        self._more: dict[RunRecord, list[Any]] = {}
        for run in runs:
            if not hasattr(run, "_client"):
                kind = type(run).__name__
                text = "give what submit returned, or attach(ref), where ref is what str(run.ref) gave"
                raise InvalidRequest(f"one of the runs is of type {kind}: {text}")
            if run._client is not client:  # noqa: SLF001 - a run is part of its client
                raise InvalidRequest(f"{run.ref} belongs to another client: have each client wait for its own")
            record = run._record  # noqa: SLF001 - as above
            if record in self.records:
                self._more.setdefault(record, []).append(run)
            else:
                self.records[record] = run

    def of(self, record: RunRecord) -> list[Any]:
        """Those of a record."""
        return [self.records[record], *self._more.get(record, ())]


async def _asynchronously(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


class AsyncClient(_ClientBase):
    """As `Client`, for one event loop: methods are awaited, iterators are asynchronous."""

    def __init__(
        self,
        connection: Connection,
        *,
        on_event: OnEvent | None = None,
        clock: Clock | None = None,
        journal: Callable[[], Journal] | None = None,
        session: Callable[..., AsyncHttpSession] | None = None,
    ) -> None:
        from flowrunner.async_follower import AsyncFollower
        from flowrunner.http import AsyncHttpSession

        super().__init__(connection, on_event=on_event, clock=clock, artifact=self._artifact, journal=journal)
        self._session: AsyncHttpSession = (session or AsyncHttpSession)(**self._session_arguments())
        self._follower = AsyncFollower(self._operations.following, self._perform, self._clock)

    async def submit(
        self,
        flow: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        payload: Any = None,
        options: SubmitOptions | None = None,
        key: str | None = None,
    ) -> AsyncRun:
        """As `Client.submit`."""
        submission = self._submission(flow, parameters, payload, options, key)
        return AsyncRun(self, await self._perform(self._operations.submitting.submit(submission)))

    async def run(
        self,
        flow: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout: float | timedelta | None = None,  # noqa: ASYNC109 - the public contract, and a run is not cancelled
        server_wait: bool = False,
        raise_on_failure: bool = True,
        payload: Any = None,
        options: SubmitOptions | None = None,
        key: str | None = None,
    ) -> RunResult:
        """As `Client.run`."""
        submission = self._submission(flow, parameters, payload, options, key)
        operation = self._operations.submitting.run(
            submission, timeout, server_wait=server_wait, raise_on_failure=raise_on_failure
        )
        return await self._perform(operation)

    def attach(self, ref: RunRef | str, *, submitted_at: datetime | None = None) -> AsyncRun:
        """As `Client.attach`; it is not awaited."""
        return AsyncRun(self, self._locally(lambda: self._operations.runs.attach(ref, submitted_at)))

    def runs(
        self,
        *,
        state: RunState | str | Iterable[RunState | str] | None = None,
        flow: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[AsyncRun]:
        """As `Client.runs`."""
        query = self._locally(lambda: self._operations.listing.run_query(state, flow, limit))
        return self._listed(query)

    async def _listed(self, query: RunQuery) -> AsyncIterator[AsyncRun]:
        selection = Selection(query.limit)
        async for item in self._pages(partial(self._operations.listing.runs, query), selection):
            yield AsyncRun(self, self._operations.runs.listed(item))

    def flows(self) -> AsyncIterator[FlowInfo]:
        """As `Client.flows`."""
        return self._pages(self._operations.listing.flows, Selection())

    async def describe(self, flow: str) -> FlowSpec:
        """As `Client.describe`."""
        return await self._perform(self._operations.submitting.describe(flow))

    async def upload(
        self, path: str | os.PathLike[str], name: str | None = None, *, progress: Progress | None = None
    ) -> RemoteFile:
        """As `Client.upload`."""
        return await self._perform(self._operations.files.upload(Path(path), name, progress))

    async def download(
        self,
        file: RemoteFile | str,
        to: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
    ) -> Path:
        """As `Client.download`."""
        return await self._perform(self._operations.files.download(str(file), to, progress))

    async def remove(self, file: RemoteFile) -> None:
        """As `Client.remove`."""
        await self._perform(self._operations.files.remove(file))

    def as_completed(
        self, runs: Iterable[AsyncRun], *, timeout: float | timedelta | None = None
    ) -> AsyncIterator[AsyncRun]:
        """As `Client.as_completed`."""
        given = self._locally(lambda: _Given(self, runs))
        together = self._locally(lambda: self._operations.together(given.records, timeout))

        async def completed() -> AsyncIterator[AsyncRun]:
            with closing(together):
                while (record := await self._perform(together.next_record())) is not None:
                    for run in given.of(record):
                        yield run

        return completed()

    async def wait_all(
        self,
        runs: Iterable[AsyncRun],
        *,
        timeout: float | timedelta | None = None,  # noqa: ASYNC109 - as above
    ) -> list[AsyncRun]:
        """As `Client.wait_all`."""
        given = list(runs)
        async for _ in self.as_completed(given, timeout=timeout):
            pass
        return given

    def map(
        self,
        flow: str,
        parameter_sets: Iterable[Mapping[str, Any] | None] | AsyncIterable[Mapping[str, Any] | None],
        *,
        max_in_flight: int = 8,
        options: SubmitOptions | None = None,
        key: Callable[[int, Mapping[str, Any] | None], str] | None = None,
    ) -> AsyncIterator[MapItem]:
        """As `Client.map`; the sets may come asynchronously.

        Up to `max_connections` submissions are under way at once. One that is under way when nobody takes items any
        more comes to its end all the same.
        """
        mapped = self._locally(lambda: self._operations.mapped(flow, parameter_sets, max_in_flight, options, key))

        async def items() -> AsyncIterator[MapItem]:
            from flowrunner.async_mapping import AsyncMapping

            most = self._connection.settings.max_connections
            mapping = AsyncMapping(mapped, _asynchronously(parameter_sets), self._perform, most)
            async with aclosing(mapping.items()) as all_ended:
                async for ended in all_ended:
                    run = None if ended.record is None else AsyncRun(self, ended.record)
                    yield MapItem(ended.index, ended.parameters, run, ended.error)

        return items()

    async def recover(self) -> list[AsyncRun]:
        """As `Client.recover`."""
        return [AsyncRun(self, record) for record in await self._perform(self._operations.reconciling.recover())]

    async def health(self) -> Health:
        """As `Client.health`."""
        return await self._perform(self._operations.listing.health())

    async def close(self) -> None:
        """As `Client.close`."""
        import asyncio

        self._follower.close()
        await self._session.close()
        self._operations.context.telemetry.close()
        try:
            await asyncio.to_thread(self._operations.ledger.close)
        except RuntimeError:  # the loop is shut down just now, and has no threads any more
            self._operations.ledger.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _pages(self, operation: Callable[[Any], Operation[Any]], selection: Selection) -> AsyncIterator[Any]:
        cursor = None
        while not selection.is_full():
            page = await self._perform(operation(cursor))
            for item in selection.of(page):
                yield item
            cursor = page.next
            if cursor is None:
                return

    def _artifact(self, source: ArtifactSource) -> AsyncArtifact:
        return AsyncArtifact(**asdict(source), fetch=self._download)

    async def _download(self, artifact: ArtifactSource, to: Path, progress: Progress | None) -> Path:
        return await self._perform(self._operations.files.download_artifact(artifact, to, progress))

    async def _perform(self, operation: Operation[T], ref: RunRef | None = None) -> T:
        try:
            return await adrive(operation, self._step)
        except FlowrunnerError as error:
            self._operations.context.located(error, ref)
            raise

    async def _step(self, step: Ask[Any] | Attend | Pause) -> Any:
        if isinstance(step, Ask):
            return await adrive(step.plan, partial(self._send, self._limits(step)))
        if isinstance(step, Attend):
            return await self._follower.attend(step.crowd)
        if step.seconds:
            return await self._clock.asleep(step.seconds)
        import asyncio

        return await asyncio.sleep(0)  # no time passes: others get to do something

    async def _send(self, limits: Mapping[str, Any], step: Step) -> Any:
        if isinstance(step, Request):
            return await self._session.send(step, **limits)
        import asyncio

        return await asyncio.to_thread(step.function)


async def _in_threads(lines: Iterator[str]) -> AsyncIterator[str]:
    """Lines whose next one may take a while, without blocking the loop."""
    import asyncio

    while (line := await asyncio.to_thread(next, lines, None)) is not None:
        yield line


class AsyncRun(_RunBase):
    """As `Run`, of an `AsyncClient`."""

    __slots__ = ()
    _client: AsyncClient

    async def refresh(self) -> RunStatus:
        """As `Run.refresh`."""
        return await self._perform(self._operations.following.refresh(self._record))

    async def wait(
        self,
        timeout: float | timedelta | None = None,  # noqa: ASYNC109 - the public contract, and a run is not cancelled
        *,
        until: str = "terminal",
        raise_on_failure: bool = True,
    ) -> RunResult:
        """As `Run.wait`. Cancelling the task that waits leaves the run as it is."""
        # Ten thousand tasks may rest here: nothing is between this frame and what it awaits, and it is a small one.
        wait = self._begin_wait(timeout, until)
        try:
            await wait.told
        finally:
            self._operations.following.leave(wait)
        return await self._end_wait(wait, until, raise_on_failure)

    def _begin_wait(self, timeout: float | timedelta | None, until: str) -> Wait:
        begin = partial(self._operations.results.waiting, self._record, timeout, until, self._client._follower.told())  # noqa: SLF001 - as above
        wait = self._locally(begin)
        self._client._follower.start()  # noqa: SLF001 - as above
        return wait

    async def _end_wait(self, wait: Wait, until: str, raise_on_failure: bool) -> RunResult:  # noqa: FBT001 - as `wait`
        results = self._operations.results
        return await self._perform(results.conclude(self._record, wait, until, raise_on_failure=raise_on_failure))

    def watch(
        self,
        timeout: float | timedelta | None = None,
    ) -> AsyncIterator[RunStatus]:
        """As `Run.watch`."""
        watching = self._locally(lambda: self._operations.following.watch(self._record, timeout))

        async def changes() -> AsyncIterator[RunStatus]:
            while (status := await self._perform(watching.next())) is not None:
                yield status

        return changes()

    async def resume(self, answers: Mapping[str, Any]) -> RunStatus:
        """As `Run.resume`."""
        return await self._perform(self._operations.results.resume(self._record, answers))

    async def cancel(self) -> CancelOutcome:
        """As `Run.cancel`."""
        return await self._perform(self._operations.results.cancel(self._record))

    async def reconcile(self) -> Reconciliation:
        """As `Run.reconcile`."""
        return await self._perform(self._operations.reconciling.reconcile(self._record))

    async def result(self) -> RunResult:
        """As `Run.result`."""
        return await self._perform(self._operations.results.result(self._record))

    async def logs(self) -> AsyncIterator[str]:
        """As `Run.logs`."""
        lines: Any = await self._perform(self._operations.results.logs(self._record))
        if not isinstance(lines, AsyncIterator):
            lines = _in_threads(lines)
        try:
            async for line in lines:
                yield line
        except FlowrunnerError as error:
            self._operations.context.located(error, self.ref)
            raise
        finally:
            if isinstance(lines, AsyncGenerator):  # others need not be closed
                await lines.aclose()

    @property
    def _operations(self) -> Operations:
        return self._client._operations  # noqa: SLF001 - a run is part of its client

    def _locally(self, function: Callable[[], T]) -> T:
        return self._client._locally(function, self.ref)  # noqa: SLF001 - as above

    async def _perform(self, operation: Operation[T]) -> T:
        return await self._client._perform(operation, self.ref)  # noqa: SLF001 - as above
