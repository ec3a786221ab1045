"""A workspace with a parameter of every family that either API of FME Flow documents or that was observed."""

from __future__ import annotations

from flowrunner.simulator.engine import Behaviour
from flowrunner.simulator.fme_workspaces import Choice, Kind, Parameter, Workspace

_BASICS = (
    Parameter("text", Kind.TEXT, "Text", default="some text"),
    Parameter("mandatory", Kind.TEXT, "Text without a default"),
    Parameter("multiline", Kind.MULTILINE, "Text of several lines", required=False, default="one\ntwo"),
    Parameter("url", Kind.URL, "Address", required=False, default="https://example.com/a?b=c"),
    Parameter("secret", Kind.PASSWORD, "Password", required=False),
    Parameter("float", Kind.NUMBER, "Number", default=2.5),
    Parameter("integer", Kind.INTEGER, "Whole number", default=7, minimum=1, maximum=10),
    Parameter("flag", Kind.BOOLEAN, "Yes or no", default=True),
    Parameter("color", Kind.COLOR, "Color", required=False, default="0.5,0.5,1.0"),
    Parameter("coordinates", Kind.COORDINATE_SYSTEM, "Coordinate System", required=False, default="LL84"),
    Parameter("slider", Kind.RANGE, "Range", default=50, minimum=0, maximum=100, precision=1),
    Parameter("open_slider", Kind.RANGE, "Range without its ends", default=1, minimum=0, maximum=2, exclusive=True),
    Parameter("note", Kind.MESSAGE, "This is only shown.", required=False),
)

_CHOICES = (
    Parameter("option", Kind.CHOICE, "Option", default="a", choices=(Choice("a", "First"), Choice("b", "Second"))),
    Parameter(
        "active",
        Kind.ACTIVE_CHOICE,
        "Option that disables others",
        default="simple",
        choices=(Choice("simple", "Simple", disables=("options", "tree")), Choice("full", "Full")),
    ),
    Parameter(
        "options",
        Kind.CHOICES,
        "Options",
        default=["a b", "c"],
        choices=(Choice("a b", "With a space"), Choice("c", "Without")),
    ),
    Parameter(
        "features",
        Kind.FEATURE_GROUPS,
        "Options that group features",
        required=False,
        choices=(
            Choice([{"name": "roads"}, {"name": "paths"}], "Ways"),
            Choice([{"name": "lakes"}], "Waters"),
        ),
    ),
    Parameter(
        "tree",
        Kind.TREE,
        "Options of a tree",
        required=False,
        choices=(Choice("land/forest", "Forest"), Choice("water/lake", "Lake")),
    ),
)

_FILES = (
    Parameter("SourceDataset_GML", Kind.FILE, "Source File", required=False),
    Parameter("SourceDatasets_GML", Kind.FILES, "Source Files", required=False, default=[]),
    Parameter("SourceFolder", Kind.FOLDER, "Source Folder", required=False),
    Parameter("SourceFolders", Kind.FOLDERS, "Source Folders", required=False, default=[]),
    Parameter("DestDataset_SHAPE", Kind.FILE, "Destination File", required=False, must_exist=False),
    Parameter("DestDatasets_SHAPE", Kind.FILES, "Destination Files", required=False, default=[], must_exist=False),
    Parameter("DestFolder", Kind.FOLDER, "Destination Folder", required=False, must_exist=False),
    Parameter("DestFolders", Kind.FOLDERS, "Destination Folders", required=False, default=[], must_exist=False),
)

_OTHERS = (
    Parameter("database", Kind.DATABASE, "Database", required=False, services=("PostgreSQL",)),
    Parameter("web", Kind.WEB_SERVICE, "Web Service", required=False, services=("Dropbox",), excluded=("Slack",)),
    Parameter("object", Kind.OBJECT, "Object", required=False, default='{"a": 1}'),
    Parameter("objects", Kind.OBJECTS, "Objects", required=False, default='[{"a": 1}]'),
    Parameter("date", Kind.DATE, "Date", required=False, default="20250131", group="Times"),
    Parameter("moment", Kind.DATE_TIME, "Date and time", required=False, default="20250131120000.5+01", group="Times"),
)

EVERY_PARAMETER = Workspace(
    repository="Samples",
    name="everyParameter.fmw",
    title="Every kind of parameter",
    parameters=(*_BASICS, *_CHOICES, *_FILES, *_OTHERS),
    behaviour=Behaviour(duration=1.0, features=1),
)
