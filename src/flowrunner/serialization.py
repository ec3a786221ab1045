"""Values that were made JSON become values again: strictly, since what is read may have lain anywhere meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import asdict
from cattrs import BaseValidationError, Converter, transform_error
from cattrs.gen import make_dict_structure_fn
from cattrs.v import format_exception

from flowrunner.errors import InvalidRequest
from flowrunner.models import JSON_VERSION, Artifact, ArtifactSource, AsyncArtifact, RunRef, RunResult, RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["restored"]

T = TypeVar("T")


def restored(cls: type[T], given: Any) -> T:
    """The value of which `to_dict` made a mapping.

    Args:
        cls: `RunRef`, `RunStatus` or `RunResult`.
        given: the mapping; keys that are not known are left out.

    Raises:
        InvalidRequest: it is no such mapping, or one of another version. Values are not shown.
    """
    _check_version(cls, given)
    try:
        # The class has a default for the state; a status that was written without one says nothing.
        value: T = _READERS[cls]({"state": None, **given}, cls)
    except BaseValidationError as error:
        problems = "; ".join(transform_error(error, format_exception=_problem))
    else:
        return value
    raise InvalidRequest(f"this is not what {cls.__name__}.to_dict() gives: {problems}")


def _check_version(cls: type, given: Any) -> None:
    if not isinstance(given, Mapping):
        raise InvalidRequest(f"{cls.__name__}.from_dict() takes what to_dict() gives, not a {type(given).__name__}")
    version = given.get("version")
    if type(version) is not int:
        raise InvalidRequest(f"this is not what {cls.__name__}.to_dict() gives: it has no version")
    if version != JSON_VERSION:
        raise InvalidRequest(
            f"this {cls.__name__} is of version {version}: this flowrunner reads version {JSON_VERSION}"
        )


def _problem(error: BaseException, kind: type | None) -> str:
    return error.message if isinstance(error, InvalidRequest) else format_exception(error, kind)


def _exactly(*kinds: type) -> Callable[[Any, Any], Any]:
    def exactly(value: Any, cls: Any) -> Any:
        if type(value) in kinds:
            return cls(value)
        raise TypeError

    return exactly


def _payload(value: Any, _: Any) -> bytes:
    if type(value) is str:
        return value.encode("utf-8", "surrogatepass")
    raise TypeError


def _moment(value: Any, _: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


def _reference(value: Any, _: Any) -> RunRef:
    """A reference, which a result has in its short form."""
    try:
        return RunRef.parse(value)
    except (InvalidRequest, AttributeError):
        raise ValueError from None


def _artifacts(value: Any, _: Any) -> tuple[Artifact, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(Artifact(**asdict(each)) for each in _CONVERTER.structure(value, tuple[ArtifactSource, ...]))


def _is_word(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, StrEnum)


def _converter() -> Converter:
    converter = Converter(detailed_validation=True)
    for cls in (str, int, bool):
        converter.register_structure_hook(cls, _exactly(cls))
    converter.register_structure_hook(float, _exactly(float, int))
    converter.register_structure_hook(bytes, _payload)
    converter.register_structure_hook(datetime, _moment)
    converter.register_structure_hook_func(_is_word, lambda value, cls: cls(value))
    converter.register_structure_hook(RunRef, _reference)
    converter.register_structure_hook(RunStatus, lambda value, cls: restored(cls, value))
    converter.register_structure_hook(tuple[Artifact, ...] | tuple[AsyncArtifact, ...], _artifacts)
    return converter


_CONVERTER: Final = _converter()
_READERS: Final[Mapping[type, Callable[[Any, Any], Any]]] = {
    cls: make_dict_structure_fn(cls, _CONVERTER) for cls in (RunRef, RunStatus, RunResult)
}
