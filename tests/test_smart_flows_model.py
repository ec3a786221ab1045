"""Smart Flows' models: documents anywhere in them, and parameters in a schema."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner.backends._smart_flows_model import DEPTH, documents_in, parameters_in
from flowrunner.models import ParameterKind, ParameterSpec


def document(document_id, name="Letter"):
    """A document, as a model holds it."""
    return {"id": document_id, "displayName": name, "type": "document"}


def test_documents_are_known_by_their_type():
    """A value of type `document` is one, whatever the parameter that holds it is called; nothing else is."""
    model = {
        "B407de9e4_f9e8": {"document": document("1"), "signedDocument": document("2", "Signed"), "text": "document"},
        "B2": {"document": {"id": "9", "displayName": "a template", "type": "template"}, "documents": ["x", 1, None]},
        "B3": {"document": "8", "data": {"id": "7", "type": "data"}},
    }
    assert documents_in([model]) == {"1": "Letter", "2": "Signed"}


def test_documents_at_any_depth():
    """Lists and mappings are walked, a document's own content, too."""
    nested = {"a": [[{"b": {"c": [document("1")]}}], {**document("2"), "parts": [document("3")]}]}
    assert list(documents_in([nested])) == ["1", "2", "3"]


def test_each_document_once():
    """A document that is in several places, or models, is one; the first name it is given is its name."""
    models = [
        {"a": document("1", None), "b": document("1", "Letter")},
        {"a": document("1", "Other")},
        {"a": document("1", "")},
    ]
    assert documents_in(models) == {"1": "Letter"}


@pytest.mark.parametrize(
    "value", [None, 5, "x", [], {}, {"type": "document"}, document(""), document(5), document(None)]
)
def test_what_is_no_document(value):
    """A value without an id names no document; nor does anything that is no mapping."""
    assert documents_in([value, {"x": value}, [value]]) == {}


@pytest.mark.parametrize("name", [None, "", 5, ["x"]])
def test_a_document_without_a_name(name):
    """A name that is none is unknown."""
    assert documents_in([document("1", name)]) == {"1": None}


def test_no_end_of_nesting():
    """What is nested deeper than any flow nests is left alone, so nothing exhausts the stack."""
    value = document("deep")
    for _ in range(DEPTH + 1):
        value = [value]
    assert documents_in([value]) == {}
    assert documents_in(value) == {"deep": "Letter"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just("document"),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["id", "type", "displayName", "document", "properties", "required", "items", "enum"])
            | st.text(),
            inner,
        )
    ),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=3))
def test_documents_in_any_json(models):
    """Any JSON is walked to its end: ids are texts that are not empty, names texts or none."""
    for found, name in documents_in(models).items():
        assert isinstance(found, str)
        assert found
        assert name is None or (isinstance(name, str) and name)


@given(st.dictionaries(st.text(), JSON) | st.dictionaries(st.sampled_from(["properties", "required"]), JSON))
def test_parameters_in_any_json(schema):
    """Any JSON object taken for a schema gives parameters, one for each property."""
    properties = schema.get("properties")
    names = list(properties) if isinstance(properties, dict) else []
    assert [each.name for each in parameters_in(schema)] == names


def parameter(**entry):
    """The one parameter of a schema."""
    (spec,) = parameters_in({"properties": {"p": entry}})
    return spec


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"type": "string"}, ParameterKind.TEXT),
        ({"type": "number"}, ParameterKind.NUMBER),
        ({"type": "integer"}, ParameterKind.INTEGER),
        ({"type": "boolean"}, ParameterKind.BOOLEAN),
        ({"type": "object"}, ParameterKind.OBJECT),
        ({"type": "string", "format": "date"}, ParameterKind.DATE),
        ({"type": "string", "format": "date-time"}, ParameterKind.DATETIME),
        ({"type": "string", "format": "uri"}, ParameterKind.URL),
        ({"type": "string", "format": "password"}, ParameterKind.PASSWORD),
        ({"type": "string", "format": "of its own"}, ParameterKind.TEXT),
        ({"type": "integer", "format": "date"}, ParameterKind.INTEGER),
        ({"type": "of its own"}, ParameterKind.OTHER),
        ({"type": ["string", "null"]}, ParameterKind.OTHER),
        ({"enum": ["a"]}, ParameterKind.CHOICE),
        ({}, ParameterKind.OTHER),
    ],
)
def test_kinds(entry, kind):
    """A property's type and format say what kind of parameter it is; one of its own is left open."""
    assert parameter(**entry).kind is kind


def test_all_of_a_parameter():
    """What a schema says of a property, its parameter says."""
    schema = {
        "required": ["age"],
        "properties": {
            "age": {"type": "integer", "title": "Your age", "default": 18, "minimum": 0, "maximum": 150.5},
            "town": {"type": "string", "enum": ["Gent", "Åre"]},
        },
    }
    assert list(parameters_in(schema)) == [
        ParameterSpec(
            name="age",
            kind=ParameterKind.INTEGER,
            required=True,
            default=18,
            minimum=0,
            maximum=150.5,
            prompt="Your age",
            vendor_type="integer",
        ),
        ParameterSpec(
            name="town",
            kind=ParameterKind.CHOICE,
            required=False,
            choices=("Gent", "Åre"),
            prompt="town",
            vendor_type="string",
        ),
    ]


def test_a_parameter_with_many_values():
    """An array is a parameter that takes many; its items say of what kind, and what they may be."""
    many = parameter(type="array", items={"type": "string", "enum": ["a", "b"]})
    assert (many.multiple, many.kind, many.choices, many.vendor_type) == (
        True,
        ParameterKind.CHOICE,
        ("a", "b"),
        "array",
    )
    numbers = parameter(type="array", items={"type": "number", "minimum": 1, "maximum": True})
    assert (numbers.multiple, numbers.kind, numbers.minimum, numbers.maximum) == (True, ParameterKind.NUMBER, 1, None)
    assert parameter(type="array", items=["of its own"]).kind is ParameterKind.OTHER


@pytest.mark.parametrize("schema", [{}, {"properties": None}, {"properties": ["x"]}, {"type": "string"}])
def test_a_schema_without_properties(schema):
    """A schema without properties has no parameters."""
    assert list(parameters_in(schema)) == []


def test_entries_that_make_no_sense():
    """A property that is described by nothing readable is a parameter of which only the name is known."""
    schema = json.loads('{"properties": {"a": 5, "b": {"title": 7, "type": null}}, "required": "a"}')
    first, second = parameters_in(schema)
    assert (first.name, first.kind, first.required, first.prompt) == ("a", ParameterKind.OTHER, False, "a")
    assert (second.prompt, second.vendor_type) == ("7", None)
