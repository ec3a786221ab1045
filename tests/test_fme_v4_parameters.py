"""How FME Flow V4 describes published parameters, by the keys that independent clients read."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner.backends._fme_v4_parameters import parameters_in
from flowrunner.models import ParameterKind, ParameterSpec

WIRE = Path(__file__).parent / "wire"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
KEYS = ("name", "type", "prompt", "required", "defaultValue", "valueType", "choiceSettings", "minimum", "parameters")


def _one(**entry):
    (spec,) = parameters_in([{"name": "P", **entry}])
    return spec


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"type": "text"}, ParameterKind.TEXT),
        ({"type": "text", "valueType": "stringEncoded"}, ParameterKind.TEXT),
        ({"type": "text", "editor": "plaintext"}, ParameterKind.TEXT),
        ({"type": "text", "editor": "url"}, ParameterKind.URL),
        ({"type": "textarea"}, ParameterKind.TEXT),
        ({"type": "url"}, ParameterKind.URL),
        ({"type": "number"}, ParameterKind.NUMBER),
        ({"type": "number", "valueType": "float"}, ParameterKind.NUMBER),
        ({"type": "number", "valueType": "integer"}, ParameterKind.INTEGER),
        ({"type": "range", "valueType": "number"}, ParameterKind.NUMBER),
        ({"type": "checkbox"}, ParameterKind.BOOLEAN),
        ({"type": "checkbox", "valueType": "string"}, ParameterKind.BOOLEAN),
        ({"type": "dropdown"}, ParameterKind.CHOICE),
        ({"type": "radio"}, ParameterKind.CHOICE),
        ({"type": "listbox"}, ParameterKind.CHOICE),
        ({"type": "list"}, ParameterKind.CHOICE),
        ({"type": "multi"}, ParameterKind.CHOICE),
        ({"type": "tree", "nodeDelimiter": "/"}, ParameterKind.CHOICE),
        ({"type": "password"}, ParameterKind.PASSWORD),
        ({"type": "datetime"}, ParameterKind.DATETIME),
        ({"type": "datetime", "format": "date"}, ParameterKind.DATE),
        ({"type": "message"}, ParameterKind.MESSAGE),
        ({"type": "file", "itemsToSelect": "files"}, ParameterKind.FILE),
        ({"type": "file", "itemsToSelect": "folders"}, ParameterKind.FOLDER),
        ({"type": "directory"}, ParameterKind.FOLDER),
        ({"type": "color", "colorSpace": "rgb"}, ParameterKind.COLOR),
        ({"type": "reprojection_file"}, ParameterKind.OTHER),
        ({"type": "new_thing", "valueType": "bool"}, ParameterKind.BOOLEAN),
        ({"type": "new_thing", "valueType": "integer"}, ParameterKind.INTEGER),
        ({"type": "TEXT"}, ParameterKind.TEXT),
        ({}, ParameterKind.OTHER),
    ],
)
def test_each_type_has_a_kind(entry, kind):
    """Every type the facts know maps to a kind; one they do not know is OTHER, and its own word is kept."""
    spec = _one(**entry)

    assert kind is spec.kind
    assert entry.get("type") == spec.vendor_type


@pytest.mark.parametrize(("given", "read"), [(True, True), (False, False), (None, None), ("yes", None)])
def test_required_is_known_only_where_it_is_said(given, read):
    """`required` that is absent, or no boolean, is unknown and left to the server."""
    assert read is _one(type="text", required=given).required
    assert _one(type="text").required is None


@pytest.mark.parametrize("shape", ["bare", "items", "parameters", "publishedParameters", "value"])
def test_every_shape_of_the_list_reads_the_same(shape):
    """The list is read bare and under each key that was seen around it."""
    entries = json.loads((WIRE / "v4_parameters.json").read_text("utf-8"))
    body = entries if shape == "bare" else {shape: entries, "Count": len(entries)}

    assert tuple(parameters_in(entries)) == tuple(parameters_in(body))


def test_a_whole_description():
    """Groups are flattened with their labels, ranges and choices are read, and order is kept."""
    specs = {spec.name: spec for spec in parameters_in(json.loads((WIRE / "v4_parameters.json").read_text("utf-8")))}

    assert list(specs) == ["MAXY", "THEMES", "tolerance", "dbConnection", "secret", "inner", "note"]
    assert (
        ParameterSpec(
            name="MAXY",
            kind=ParameterKind.NUMBER,
            required=True,
            default=42,
            minimum=-90,
            maximum=90.5,
            maximum_exclusive=True,
            multiple_of=0.5,
            open_choices=True,
            prompt="Maximum Y",
            vendor_type="number",
        )
        == specs["MAXY"]
    )
    assert (
        specs["THEMES"].choices,
        specs["THEMES"].open_choices,
        specs["THEMES"].multiple,
    ) == (("airports", "cenart"), False, True)
    assert (
        specs["tolerance"].minimum,
        specs["tolerance"].maximum,
        specs["tolerance"].minimum_exclusive,
    ) == (0, 1, True)
    assert specs["inner"].group == ("Advanced", "Deep")
    assert specs["secret"].group == ("Advanced",)
    assert (specs["dbConnection"].choices, specs["dbConnection"].open_choices) == ((), True)


def test_a_list_as_default_means_several_values():
    """A parameter whose default is an array takes one, whatever its type."""
    assert _one(type="tree", defaultValue=["a/b"]).multiple
    assert not _one(type="tree", defaultValue="a/b").multiple
    assert _one(type="listbox").multiple


@pytest.mark.parametrize(
    "body",
    [
        None,
        7,
        "text",
        {},
        {"items": {}},
        {"Count": 0},
        [7],
        [None],
        [{"name": 7}],
        [{"type": "group", "parameters": 7}],
    ],
)
def test_what_is_no_list_of_parameters_is_said_to_be_none(body):
    """Anything that is no list of parameters is a ValueError, never a crash or an empty description."""
    with pytest.raises(ValueError, match="parameter"):
        list(parameters_in(body))


def test_entries_without_a_name_are_skipped():
    """An entry without a name cannot be given a value; a group may lack name and content."""
    assert (
        list(parameters_in([{"type": "message"}, {"name": ""}, {"type": "group"}, {"type": "Group", "name": "g"}]))
        == []
    )


def test_choices_that_are_no_choices_are_skipped():
    """A choice without a value is not offered; what is not a list of choices offers none."""
    spec = _one(type="dropdown", choiceSettings={"choices": [{"display": "A"}, {"value": None}, 3, {"value": [1]}]})

    assert spec.choices == (None, [1])
    assert _one(type="dropdown", choiceSettings=[1]).choices == ()


@given(
    body=JSON
    | st.lists(st.dictionaries(st.sampled_from(KEYS), JSON | st.sampled_from(["group", "number"])), max_size=4)
)
def test_any_json_is_read_or_refused(body):
    """Whatever the server sends, the description is read or refused as a ValueError."""
    try:
        specs = list(parameters_in(body))
    except ValueError:
        return
    assert all(isinstance(spec, ParameterSpec) and spec.name for spec in specs)
