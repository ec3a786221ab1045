"""The workspaces of FME Flow that the simulated servers have: those of the vendor's own tutorials.

Names and kinds of parameters follow the vendor's published samples; where those give only the kind, the name is ours.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from flowrunner.simulator.engine import Behaviour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Kind(StrEnum):
    """What a published parameter takes."""

    TEXT = "text"
    MULTILINE = "multiline"
    URL = "url"
    PASSWORD = "password"  # noqa: S105 - the kind of a parameter, not a secret
    NUMBER = "number"
    INTEGER = "integer"
    RANGE = "range"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    ACTIVE_CHOICE = "active_choice"
    CHOICES = "choices"
    FEATURE_GROUPS = "feature_groups"
    TREE = "tree"
    COORDINATE_SYSTEM = "coordinate_system"
    COLOR = "color"
    DATE = "date"
    DATE_TIME = "date_time"
    FILE = "file"
    FILES = "files"
    FOLDER = "folder"
    FOLDERS = "folders"
    DATABASE = "database"
    WEB_SERVICE = "web_service"
    OBJECT = "object"
    OBJECTS = "objects"
    MESSAGE = "message"


NUMBERS = frozenset({Kind.NUMBER, Kind.INTEGER, Kind.RANGE})
LISTS = frozenset({Kind.CHOICES, Kind.FEATURE_GROUPS, Kind.TREE, Kind.FILES, Kind.FOLDERS})
"""Kinds that take several values."""


@frozen
class Choice:
    """One of the values a parameter takes, and how a form shows it.

    Attributes:
        value: The value; of a feature grouping a list of objects, of anything else a text.
        caption: How a form shows it.
        disables: The names of the parameters that a form disables when this is chosen; of an active choice only.
    """

    value: Any
    caption: str
    disables: tuple[str, ...] = ()


@frozen
class Parameter:
    """A published parameter.

    Attributes:
        name: Its id.
        kind: What it takes.
        label: How a form names it.
        required: Whether a run needs it; one with a default may be left out all the same.
        default: The value if none is given; None if there is none.
        choices: The values it takes; empty if any.
        minimum: The least number, itself allowed unless `exclusive`.
        maximum: The greatest number, itself allowed unless `exclusive`.
        exclusive: Whether the bounds themselves are not allowed.
        precision: How many decimals a range has.
        must_exist: Whether a file or folder has to be there, as that of a source must.
        services: The kinds of database or web connections that may be chosen.
        excluded: The kinds of web connections that may not.
        group: The group of a form it is in; empty if in none. V3 shows none.
    """

    name: str
    kind: Kind
    label: str
    required: bool = True
    default: Any = None
    choices: tuple[Choice, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    exclusive: bool = False
    precision: int = 0
    must_exist: bool = True
    services: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    group: str = ""

    def problem(self, value: Any) -> str | None:
        """Say why the server refuses `value`; None if it takes it."""
        if value is None or value in ("", []):
            return "must not be blank" if self.required and self.default is None else None
        if self.kind in NUMBERS:
            return self._number_problem(value)
        if self.choices:
            return self._choice_problem(value)
        fits, reason = _FORMS.get(self.kind, _TEXT_FORM)
        return None if fits(value) else reason

    def _number_problem(self, value: Any) -> str | None:
        try:
            number = float(str(value))
        except ValueError:
            return "must be a number"
        if self.kind is Kind.INTEGER and not number.is_integer():
            return "must be a whole number"
        if self.minimum is not None and (number < self.minimum or (self.exclusive and number == self.minimum)):
            return f"must be {'above' if self.exclusive else 'at least'} {self.minimum:g}"
        if self.maximum is not None and (number > self.maximum or (self.exclusive and number == self.maximum)):
            return f"must be {'below' if self.exclusive else 'at most'} {self.maximum:g}"
        return None

    def _choice_problem(self, value: Any) -> str | None:
        several = isinstance(value, list)
        if several and self.kind not in LISTS:
            return "must be one value"
        allowed = [choice.value for choice in self.choices]
        wrong = [item for item in (value if several else [value]) if item not in allowed]
        return f"not among the choices: {wrong[0]}" if wrong else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_boolean(value: Any) -> bool:
    return str(value).lower() in ("true", "false", "yes", "no")


def _are_texts(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, list) and all(map(_is_text, value)))


def _is_object(value: Any) -> bool:
    return isinstance(value, (dict, str))


def _are_objects(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, list) and all(map(_is_object, value)))


# What values of each kind look like, and what the server says of others; of kinds not listed, texts.
_TEXT_FORM: tuple[Callable[[Any], bool], str] = (_is_text, "must be a string")
_FORMS: dict[Kind, tuple[Callable[[Any], bool], str]] = {
    Kind.BOOLEAN: (_is_boolean, "must be true or false"),
    Kind.FILES: (_are_texts, "must be an array of strings"),
    Kind.FOLDERS: (_are_texts, "must be an array of strings"),
    Kind.OBJECT: (_is_object, "must be an object"),
    Kind.OBJECTS: (_are_objects, "must be an array of objects"),
}


@frozen
class Workspace:
    """A workspace in a repository.

    Attributes:
        repository: Where it is.
        name: Its file name, with the extension.
        title: What it is called.
        parameters: What it takes.
        behaviour: What its runs do unless a test scripts something else.
        downloads: Whether a successful run leaves a data set to download.
    """

    repository: str
    name: str
    title: str = ""
    parameters: tuple[Parameter, ...] = ()
    behaviour: Behaviour = field(factory=Behaviour)
    downloads: bool = False

    @property
    def flow(self) -> str:
        """The name of its runs in the engine pool."""
        return f"{self.repository}/{self.name}"

    def problems(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Say what is wrong with the values for a run, by parameter; names it does not publish are ignored."""
        found = {parameter.name: parameter.problem(values.get(parameter.name)) for parameter in self.parameters}
        return {name: problem for name, problem in found.items() if problem is not None}


def _choices(*values: str) -> tuple[Choice, ...]:
    return tuple(Choice(value, value.capitalize()) for value in values)


def _bound(name: str, label: str, default: float) -> Parameter:
    return Parameter(name, Kind.NUMBER, label, default=default)


_FORMATS = (
    Choice("ACAD", "Autodesk AutoCAD DWG/DXF"),
    Choice("GML21", "GML (Geography Markup Language) v2.1.2"),
    Choice("OGCKML", "Google Earth KML"),
    Choice("SHAPEFILE", "Esri Shapefile"),
)

AUSTIN_DOWNLOAD = Workspace(
    repository="Samples",
    name="austinDownload.fmw",
    title="City of Austin: Data Download",
    parameters=(
        _bound("MAXY", "Maximum Y", 42),
        Parameter(
            "THEMES",
            Kind.CHOICES,
            "Themes",
            default=["airports"],
            choices=_choices("airports", "cenart", "parks", "railroad", "watersheds"),
        ),
        _bound("MAXX", "Maximum X", -97.5),
        _bound("MINX", "Minimum X", -98.0),
        _bound("MINY", "Minimum Y", 30.0),
        Parameter("COORDSYS", Kind.COORDINATE_SYSTEM, "Output Coordinate System", required=False, default="TX83-CF"),
        Parameter("DestinationFormat", Kind.CHOICE, "Output Format", default="SHAPEFILE", choices=_FORMATS),
        Parameter("userName", Kind.TEXT, "Name of the Requester", required=False, default="guest"),
    ),
    behaviour=Behaviour(duration=3.0, features=1539),
    downloads=True,
)

AUSTIN_APARTMENTS = Workspace(
    repository="Samples",
    name="austinApartments.fmw",
    title="City of Austin: Apartments and other (SPATIAL ETL)",
    parameters=(
        Parameter("documentName", Kind.TEXT, "Document Name", required=False, default="Austin Apartments"),
        Parameter("accountPassword", Kind.PASSWORD, "Password of the Account", required=False),
    ),
    behaviour=Behaviour(duration=2.0, features=4812),
)

TEN_SECONDS = Workspace(
    repository="Tutorials",
    name="10seconds.fmw",
    title="A run of ten seconds",
    parameters=(
        Parameter(
            "location",
            Kind.CHOICES,
            "Cities",
            choices=_choices("Burnaby", "Coquitlam", "Richmond", "Surrey", "Vancouver"),
        ),
        Parameter("year", Kind.INTEGER, "Year", required=False, minimum=1900, maximum=2100),
    ),
    behaviour=Behaviour(duration=10.0, features=10),
)

TUTORIALS = (AUSTIN_DOWNLOAD, AUSTIN_APARTMENTS, TEN_SECONDS)


class Catalogue:
    """The published workspaces of one server, in the order of publication."""

    def __init__(self, workspaces: tuple[Workspace, ...] = TUTORIALS) -> None:
        self._workspaces = {(workspace.repository, workspace.name): workspace for workspace in workspaces}

    def add(self, workspace: Workspace) -> None:
        """Publish a workspace; one of the same repository and name is replaced."""
        self._workspaces[workspace.repository, workspace.name] = workspace

    def find(self, repository: str, name: str) -> Workspace | None:
        """Return a workspace; names are case-sensitive."""
        return self._workspaces.get((repository, name))

    def __iter__(self) -> Iterator[Workspace]:
        return iter(tuple(self._workspaces.values()))
