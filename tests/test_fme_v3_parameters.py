"""How FME Flow V3 describes published parameters: twelve documented families, and types that clients have shown."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner.backends._fme import dataset_role
from flowrunner.backends._fme_v3_parameters import parameters_in
from flowrunner.backends._fme_v4_parameters import parameters_in as parameters_in_v4
from flowrunner.models import ParameterKind, ParameterSpec
from flowrunner.parameters import problems

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
KEYS = (
    "name",
    "description",
    "model",
    "type",
    "defaultValue",
    "optional",
    "listOptions",
    "featuregrouping",
    "minimum",
    "maximumExclusive",
)
OPTIONS = [{"caption": "First", "value": "a"}, {"caption": "Second", "value": "b"}]


def _one(**entry):
    (spec,) = parameters_in([{"name": "P", **entry}])
    return spec


# The documented families


@pytest.mark.parametrize(
    ("entry", "kind", "multiple"),
    [
        ({"model": "string", "type": "TEXT", "defaultValue": ""}, ParameterKind.TEXT, False),
        ({"model": "string", "type": "LOOKUP_CHOICE", "listOptions": OPTIONS}, ParameterKind.CHOICE, False),
        ({"model": "list", "type": "LISTBOX", "listOptions": OPTIONS}, ParameterKind.CHOICE, True),
        ({"model": "list", "type": "MULTIFILE", "listOptions": []}, ParameterKind.FILE, True),
        ({"model": "string", "type": "RANGE_SLIDER", "minimum": 0, "maximum": 9}, ParameterKind.NUMBER, False),
        ({"model": "string", "type": "DB_CONNECTION", "connectionType": "Oracle"}, ParameterKind.CONNECTION, False),
        ({"model": "string", "type": "WEB_CONNECTION", "connectionTypes": []}, ParameterKind.CONNECTION, False),
        ({"model": "object", "type": "TEXT", "defaultValue": "{}"}, ParameterKind.OBJECT, False),
        ({"model": "objectList", "type": "LISTBOX", "defaultValue": "[]"}, ParameterKind.OBJECT, True),
        ({"model": "string", "type": "DATE", "defaultValue": "20250131"}, ParameterKind.DATE, False),
        ({"model": "string", "type": "DATETIME", "milliseconds": True}, ParameterKind.DATETIME, False),
        ({"model": "string", "type": "ACTIVECHOICE", "listOptions": OPTIONS}, ParameterKind.CHOICE, False),
    ],
)
def test_every_family_has_a_kind(entry, kind, multiple):
    """Each of the twelve families is one kind, and its model says whether it takes one value or several."""
    spec = _one(**entry)

    assert (kind, multiple) == (spec.kind, spec.multiple)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("PASSWORD", ParameterKind.PASSWORD),
        ("FLOAT", ParameterKind.NUMBER),
        ("INTEGER", ParameterKind.INTEGER),
        ("CHECKBOX", ParameterKind.BOOLEAN),
        ("BOOLEAN", ParameterKind.BOOLEAN),
        ("COORDSYS", ParameterKind.TEXT),
        ("TEXT_EDIT", ParameterKind.TEXT),
        ("TEXT_OR_ATTR", ParameterKind.TEXT),
        ("STRING", ParameterKind.TEXT),
        ("STRING_OR_CHOICE", ParameterKind.CHOICE),
        ("LOOKUP_LISTBOX", ParameterKind.CHOICE),
        ("FILENAME", ParameterKind.FILE),
        ("FILENAME_MUSTEXIST", ParameterKind.FILE),
        ("FILE_OR_URL", ParameterKind.FILE),
        ("SOURCE_GEODATABASE", ParameterKind.FILE),
        ("DIRNAME", ParameterKind.FOLDER),
        ("DIRNAME_SRC", ParameterKind.FOLDER),
        ("URL", ParameterKind.URL),
        ("DATE_TIME", ParameterKind.DATETIME),
        ("COLOR_PICK", ParameterKind.COLOR),
        ("MESSAGE", ParameterKind.MESSAGE),
        ("NOVALUE", ParameterKind.MESSAGE),
        ("text", ParameterKind.TEXT),
        ("SOMETHING_NEW", ParameterKind.OTHER),
        (None, ParameterKind.OTHER),
        (7, ParameterKind.OTHER),
    ],
)
def test_every_type_that_was_seen_has_a_kind(word, kind):
    """A type of the vendor's samples and libraries has a kind; one that nobody has seen is OTHER and left alone."""
    spec = _one(type=word)

    assert kind is spec.kind
    assert spec.vendor_type == (word.upper() if isinstance(word, str) else None)
    assert kind is not ParameterKind.OTHER or not problems_of(spec, ["anything"])


def problems_of(spec, value):
    """What our own check says about a value."""
    from flowrunner.models import FlowSpec

    return problems(FlowSpec("R/w.fmw", (spec,)), {spec.name: value})


@pytest.mark.parametrize(
    ("entry", "multiple"),
    [
        ({"type": "STRING_OR_CHOICE", "model": "list", "defaultValue": ["a"]}, True),
        ({"type": "STRING_OR_CHOICE", "model": "string"}, False),
        ({"type": "LISTBOX", "model": "string"}, False),
        ({"type": "LISTBOX", "model": "string", "defaultValue": ["a"]}, False),
        ({"type": "TEXT", "model": "list"}, True),
        ({"type": "LISTBOX", "defaultValue": ["a"]}, True),
        ({"type": "LISTBOX", "defaultValue": "a"}, False),
        ({"type": "LISTBOX", "model": None, "defaultValue": []}, True),
    ],
)
def test_one_or_several_is_decided_by_the_model(entry, multiple):
    """Single or multiple is decided by `model`, never by `type`; without a model, by a default that is an array."""
    assert multiple is _one(**entry).multiple


@pytest.mark.parametrize(("given_value", "required"), [(True, False), (False, True), (None, None), ("yes", None)])
def test_optional_is_known_only_where_it_is_said(given_value, required):
    """`optional` that is missing, as in the vendor's own sample, is unknown and left to the server."""
    assert required is _one(type="TEXT", optional=given_value).required
    assert _one(type="TEXT").required is None


def test_options_are_the_choices():
    """Options are offered by value; a choice is closed, a choice or text is open, and a feature grouping is."""
    assert (_one(type="CHOICE", listOptions=OPTIONS).choices, _one(type="CHOICE").open_choices) == (("a", "b"), False)
    assert _one(type="STRING_OR_CHOICE", listOptions=OPTIONS).open_choices
    groups = [{"caption": "Ways", "value": [{"name": "roads"}]}]
    grouping = _one(type="FEATURE_TYPE_LIST", model="list", featuregrouping=True, listOptions=groups)
    assert (grouping.kind, grouping.multiple, grouping.choices) == (
        ParameterKind.CHOICE,
        True,
        ([{"name": "roads"}],),
    )
    assert not problems_of(grouping, [[{"name": "roads"}]])
    for odd in (None, 7, True, "abc", {"a": 1}, [1, None, {"caption": "no value"}]):
        assert _one(type="CHOICE", listOptions=odd).choices == ()


def test_an_active_choice_disables_others():
    """Each option of an active choice tells which parameters it disables, as objects or as plain names."""
    options = [
        {"caption": "A", "value": "a", "disabledParameters": [{"name": "x"}, "y", 7, {"id": 1}]},
        {"caption": "B", "value": "b", "disabledParameters": None},
        {"caption": "C", "value": 7},
    ]

    assert _one(type="ACTIVECHOICE", listOptions=options).disables == {"a": ("x", "y"), "b": ()}


def test_a_range_has_its_bounds():
    """A range slider has numbers as bounds and default, each bound exclusive where it says so."""
    spec = _one(
        type="RANGE_SLIDER",
        minimum=0,
        maximum=2.5,
        minimumExclusive=True,
        maximumExclusive=False,
        defaultValue=1,
        description="How far",
    )

    assert (spec.minimum, spec.maximum, spec.default, spec.prompt) == (0, 2.5, 1, "How far")
    assert (spec.minimum_exclusive, spec.maximum_exclusive) == (True, False)
    odd = _one(type="RANGE_SLIDER", minimum="0", maximum=True, description=7)
    assert (odd.minimum, odd.maximum, odd.prompt) == (None, None, "P")


# Datasets


@pytest.mark.parametrize(
    ("name", "word", "role"),
    [
        ("P", "SOURCE_GEODATABASE", "source"),
        ("P", "DEST_FILE", "destination"),
        ("P", "DESTINATION_FILE", "destination"),
        ("P", "DIRNAME_SRC", "source"),
        ("P", "FILENAME_MUSTEXIST", "source"),
        ("P", "DIRNAME_MUSTEXIST", "source"),
        ("P", "FILENAME", None),
        ("SourceDataset_GML", "FILENAME", "source"),
        ("SourceDataset_GML", "MULTIFILE", "source"),
        ("DestDataset_SHAPE", "FILENAME", "destination"),
        ("DestDataset_SHAPE", "DIRNAME", "destination"),
        ("DestDataset_SHAPE", "DIRNAME_SRC", "destination"),
        ("DestDataset_SHAPE", "SOURCE_GEODATABASE", "source"),
        ("SourceColumn", "TEXT", None),
    ],
)
def test_a_dataset_is_read_or_written(name, word, role):
    """Whether a dataset is a source or a destination is told by its type, by FME's own names, or by having to exist."""
    assert role == _one(type=word).role if name == "P" else role == parameters_of(name, word).role


def parameters_of(name, word):
    """The description of one parameter of this name and type."""
    (spec,) = parameters_in([{"name": name, "type": word}])
    return spec


def test_a_dataset_of_v4_is_read_or_written():
    """V4 tells it by whether the file has to exist, by FME's own names, or by its type."""
    roles = {
        spec.name: spec.role
        for spec in parameters_in_v4(
            [
                {"name": "SourceDataset_GML", "type": "file"},
                {"name": "DestDataset_GML", "type": "file", "validateExistence": True},
                {"name": "in", "type": "file", "validateExistence": True},
                {"name": "out", "type": "file", "validateExistence": False},
                {"name": "text", "type": "text", "validateExistence": True},
            ]
        )
    }

    assert roles == {
        "SourceDataset_GML": "source",
        "DestDataset_GML": "destination",
        "in": "source",
        "out": None,
        "text": None,
    }
    assert dataset_role(ParameterKind.FILE, "x", ["DEST"], must_exist=True) == "destination"


# Whatever is sent


@pytest.mark.parametrize("body", [None, 7, "text", {}, {"items": []}, [7], [None], [{}], [{"name": 7}], [[]]])
def test_what_is_no_list_of_parameters_is_said_to_be_none(body):
    """Anything that is no list of parameters is a ValueError, never a crash or an empty description."""
    with pytest.raises(ValueError, match="parameter"):
        list(parameters_in(body))


@given(
    body=JSON
    | st.lists(
        st.fixed_dictionaries({"name": st.text(max_size=5)}, optional=dict.fromkeys(KEYS[1:], JSON))
        | st.dictionaries(st.sampled_from(KEYS), JSON),
        max_size=4,
    )
)
@example(body=[{"name": "P", "listOptions": 7}])
@example(body=[{"name": "P", "listOptions": True}])
@example(body=[{"name": "P", "listOptions": [{"value": {}}]}])
def test_any_json_is_read_or_refused(body):
    """Whatever the server sends, the description is read or refused as a ValueError."""
    try:
        specs = list(parameters_in(body))
    except ValueError:
        return
    assert all(isinstance(spec, ParameterSpec) for spec in specs)
    assert len(specs) == len(body)


@pytest.mark.parametrize("key", KEYS[1:])
def test_json_of_any_depth_is_read(key):
    """A value so deep that Python could not write it out is no reason to fail."""
    deep = json.loads("[" * 900 + "]" * 900)

    (spec,) = parameters_in([{"name": "P", key: deep}])
    assert spec.name == "P"
    (choice,) = parameters_in([{"name": "P", "listOptions": [{"value": deep}]}])
    assert len(choice.choices) == 1
