"""XML: made from what callers have, sent as UTF-8, and checked without expanding anything."""

import io
import tracemalloc
import types
from datetime import UTC, date, datetime
from pathlib import Path, PurePath
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner.backends._xml import element_of, xml_body
from flowrunner.errors import InvalidRequest
from flowrunner.plans import Call, FileBody

BOMB = (
    '<?xml version="1.0"?>\n<!DOCTYPE lolz [\n <!ENTITY lol "lol">\n'
    + "".join(f' <!ENTITY lol{level} "{f"&lol{level - 1 or str()};" * 10}">\n' for level in range(1, 30))
    + "]>\n<lolz>&lol29;</lolz>"
)
QUADRATIC = f'<!DOCTYPE a [<!ENTITY x "{"y" * 50_000}">]><a>{"&x;" * 50_000}</a>'
ATTRIBUTE = BOMB.replace("<lolz>&lol29;</lolz>", '<lolz a="&lol29;"/>')
EXTERNAL = '<!DOCTYPE a SYSTEM "http://other.example/evil.dtd"><a/>'
INCLUDED = '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/hostname">]><a>&f;</a>'
PARAMETER = '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://other.example/p"> %p;]><a/>'


def play(payload):
    """The body of a payload; what blocks is a `Call`, so it runs where it may."""
    plan = xml_body(payload)
    step = next(plan)
    assert isinstance(step, Call)
    with pytest.raises(StopIteration) as end:
        plan.send(step.function())
    return end.value.value


def sent(payload):
    """The bytes that go out for a payload."""
    return b"".join(play(payload).chunks())


def refused(payload):
    """The text of the refusal of a payload."""
    with pytest.raises(InvalidRequest) as caught:
        play(payload)
    return str(caught.value)


# What is sent


def test_bytes_go_out_as_they_are():
    """Bytes of well-formed UTF-8 are not touched, a byte order mark and a declaration included."""
    for payload in (
        b"<a/>",
        '<a>Ærø &amp; "x"</a>'.encode(),
        b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?><a/>',
        b'<?xml version="1.0" encoding="us-ascii"?>\n<!-- c -->\n<a>&#229;</a>\n',
        b"<?xml-stylesheet href='a>b'?><a><!-- <!DOCTYPE a> --></a>",
        b"<a><![CDATA[<!DOCTYPE a [<!ENTITY x 'y'>]>]]></a>",
    ):
        assert sent(payload) == payload


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a>Ærø</a>", "<a>Ærø</a>"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>Ærø</a>', "<a>Ærø</a>"),
        ("\ufeff<?xml version='1.0' encoding='UTF-16'?>\n<a>日本</a>", "\n<a>日本</a>"),
        ("\n <?xml version='1.0'?><a/>", "<a/>"),
        ("<?xml-stylesheet href='s.xsl'?><a/>", "<?xml-stylesheet href='s.xsl'?><a/>"),
        ("<a><![CDATA[<?xml version='1.0'?>]]></a>", "<a><![CDATA[<?xml version='1.0'?>]]></a>"),
    ],
)
def test_text_goes_out_as_utf8(text, expected):
    """Text is encoded as UTF-8; its declaration, true of where it came from, goes, and nothing else does."""
    assert sent(text) == expected.encode()


def test_an_element_and_a_tree():
    """Elements and trees are written as UTF-8 that reads back the same; what followed an element stays behind."""
    tree = ET.fromstring("<all><a x='&lt;&quot;&amp;'>Ærø &amp; &lt;b&gt;</a> and so on</all>")
    for payload in (tree[0], ET.ElementTree(tree[0])):
        back = ET.fromstring(sent(payload))
        assert (back.tag, back.text, back.attrib) == ("a", "Ærø & <b>", {"x": '<"&'})
    assert tree[0].tail == " and so on"


def test_line_ends_are_kept():
    """A carriage return in a text arrives as one: written as it is, a reader would make a line feed of it."""
    element = element_of("a", {"b": "one\r\ntwo\rthree"})
    assert ET.fromstring(sent(element)).findtext("b") == "one\r\ntwo\rthree"


def test_a_file_is_streamed(tmp_path):
    """A file's body is its path: it is never in memory as a whole, neither checked nor sent."""
    file = tmp_path / "large.xml"
    size = 6 * 2**20
    with file.open("wb") as out:
        out.write(b"<?xml version='1.0' encoding='utf-8'?><all>")
        for _ in range(size // 64):
            out.write(b"<row><name>" + "Ærø".encode() + b"</name>" + b"." * 40 + b"</row>\n")
        out.write(b"</all>")

    tracemalloc.start()
    try:
        body = play(file)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert body == FileBody(file)
    assert body.size() >= size
    assert most < 2 * 2**20
    assert max(map(len, body.chunks())) <= 256 * 1024


def test_a_file_is_checked_piece_by_piece(monkeypatch, tmp_path):
    """The check reads a file by the chunks it would be sent in, and no further than the first problem."""
    read = []

    def chunks(self):
        for chunk in (b"<a><b>", b"</b>", b"<c></b>", b"never"):
            read.append(chunk)
            yield chunk

    monkeypatch.setattr(FileBody, "chunks", chunks)
    assert "not well-formed" in refused(tmp_path / "x.xml")
    assert read == [b"<a><b>", b"</b>", b"<c></b>"]


def test_a_path_of_any_kind(tmp_path):
    """What names a file in the way of `os` is a file, too."""

    class Named:
        def __fspath__(self):
            return str(tmp_path / "x.xml")

    (tmp_path / "x.xml").write_bytes(b"<a/>")
    assert sent(Named()) == b"<a/>"


# What is refused


@pytest.mark.parametrize("bomb", [BOMB, QUADRATIC, ATTRIBUTE, EXTERNAL, INCLUDED, PARAMETER, "<!DOCTYPE a><a/>"])
@pytest.mark.parametrize("kind", ["bytes", "text", "file"])
def test_a_document_type_is_refused(tmp_path, bomb, kind):
    """A document type is refused by name before anything it declares is used: no entity is ever expanded or fetched."""
    file = tmp_path / "bomb.xml"
    file.write_text(bomb)
    payload = {"bytes": bomb.encode(), "text": bomb, "file": file}[kind]
    tracemalloc.start()
    try:
        assert "document type (<!DOCTYPE ...>): leave it out" in refused(payload)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 8 * 2**20


def test_expat_sees_no_entity_used(monkeypatch):
    """Expat is given a document up to its document type, and not a byte of what follows the first declaration."""
    given_to_expat = []

    class Spy:
        def __init__(self):
            self.parser = original()

        def __setattr__(self, name, value):
            if name != "parser" and hasattr(self, "parser"):
                setattr(self.parser, name, value)
            else:
                super().__setattr__(name, value)

        def Parse(self, data, is_final):  # noqa: N802 - expat's own name
            given_to_expat.append(data)
            return self.parser.Parse(data, is_final)

    from flowrunner.backends import _xml

    original = _xml.expat.ParserCreate
    monkeypatch.setattr(_xml.expat, "ParserCreate", Spy)
    refused(BOMB.encode())
    assert b"".join(given_to_expat).endswith(b'<!ENTITY lol "lol">')


def test_a_long_prolog(tmp_path):
    """Comments before the root, whatever is in them, are no document type."""
    file = tmp_path / "x.xml"
    file.write_text("<!-- > > <!DOCTYPE x> > -->\n" * 20_000 + "<a/>")
    assert play(file) == FileBody(file)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"   ",
        "",
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b"x<a/>",
        b"<a>&nbsp;</a>",
        "<a>\x01</a>",
        b"<a>\xff</a>",
        "<a>\ud800</a>",
    ],
)
def test_what_is_not_well_formed_is_refused(payload):
    """What no XML reader would take is refused with where it goes wrong."""
    text = refused(payload)
    assert "the payload cannot be sent as XML: it is not well-formed" in text


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"), "ISO-8859-1"),
        ('<?xml version="1.0" encoding="windows-1252"?><a>é</a>'.encode("cp1252"), "windows-1252"),
        ('<?xml version="1.0" encoding="utf-16"?><a>é</a>'.encode("utf-16"), "UTF-16"),
        ("<a>é</a>".encode("utf-16"), "UTF-16"),
        ("<a>é</a>".encode("utf-16-le"), "UTF-16"),
        ("<a>é</a>".encode("utf-16-be"), "UTF-16"),
        ("<a>é</a>".encode("utf-32"), "UTF-32"),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><a/>', "ISO-8859-1"),
    ],
)
def test_another_encoding_is_refused(payload, name):
    """The request says UTF-8, so bytes in anything else are refused, and the error names what they are in."""
    text = refused(payload)
    assert name in text
    assert "encode it as UTF-8" in text


def test_utf8_that_is_none():
    """Bytes that call themselves UTF-8 or ASCII and are not are refused."""
    assert "not well-formed" in refused('<?xml version="1.0" encoding="utf-8"?><a>é</a>'.encode("latin-1"))
    assert "not well-formed" in refused('<?xml version="1.0" encoding="us-ascii"?><a>é</a>'.encode())


def test_a_file_that_cannot_be_read(tmp_path):
    """A file that is not there, or a folder, is an error that says so."""
    assert "the file cannot be read" in refused(tmp_path / "none.xml")
    assert "the file cannot be read" in refused(tmp_path)


@pytest.mark.parametrize("payload", [5, {"a": 1}, io.BytesIO(b"<a/>"), None, ET.ElementTree(), bytearray(b"<a/>")])
def test_what_is_no_payload(payload):
    """Anything else is refused, with what a payload may be."""
    with pytest.raises(InvalidRequest, match=r"text, bytes, a path or an element"):
        next(xml_body(payload))


def test_an_element_that_cannot_be_written():
    """An element with a number for its text, a control character, or levels without end is our error, not Python's."""
    number = ET.Element("a")
    number.text = 5
    control = ET.Element("a")
    control.text = "\x00"
    named = ET.Element("a b")
    half = ET.Element("a")
    half.text = "\ud800"
    deep = inner = ET.Element("a")
    for _ in range(3000):
        inner = ET.SubElement(inner, "a")
    for payload in (number, control, named, half, deep):
        with pytest.raises(InvalidRequest, match="the payload cannot be sent as XML"):
            play(payload)


# Elements


def test_an_element_of_a_mapping():
    """Mappings nest, lists repeat their element, and values are written as XML Schema writes them."""
    element = element_of(
        "Employee",
        {
            "Name": 'Ada & <Æ> "x"',
            "Address": {"City": "Gent"},
            "Phone": ["1", "2"],
            "Tags": (),
            "Signed": True,
            "Absent": False,
            "Age": 36,
            "Share": 0.5,
            "Picture": b"\x00\xff",
            "Born": date(1815, 12, 10),
            "Seen": datetime(2025, 1, 1, 12, tzinfo=UTC),
            "Nothing": None,
            "Empty": {},
            "Frozen": types.MappingProxyType({"x": "y"}),
        },
    )
    assert ET.tostring(element, encoding="unicode") == (
        '<Employee><Name>Ada &amp; &lt;Æ&gt; "x"</Name><Address><City>Gent</City></Address><Phone>1</Phone>'
        "<Phone>2</Phone><Signed>true</Signed><Absent>false</Absent><Age>36</Age><Share>0.5</Share>"
        "<Picture>AP8=</Picture><Born>1815-12-10</Born><Seen>2025-01-01T12:00:00+00:00</Seen><Nothing /><Empty />"
        "<Frozen><x>y</x></Frozen></Employee>"
    )


@pytest.mark.parametrize("name", ["", "a b", "a&b", "<a>", 'a"b', "1a", "-a", "a:b", "a\n", "@a", 5, None])
def test_a_name_that_names_no_element(name):
    """A key that cannot name an element is refused by name, whether it is the root or below it."""
    with pytest.raises(InvalidRequest, match="cannot be the name of an XML element"):
        element_of(name, {})
    with pytest.raises(InvalidRequest, match="cannot be the name of an XML element"):
        element_of("root", {"x": {name: "y"}})


@pytest.mark.parametrize("text", ["\x00", "a\x08b", "\x0b", "\x1f", "\ufffe", "\uffff", "\ud800"])
def test_a_character_xml_cannot_hold(text):
    """A control character has no place in XML, escaped or not: refused, with the element that has it."""
    with pytest.raises(InvalidRequest, match=r"Name: the text has a character that XML cannot hold"):
        element_of("root", {"Name": text})


@pytest.mark.parametrize("value", [object(), {1}, 1j, PurePath("x"), Path("x"), [[1]]])
def test_a_value_that_has_no_text(value):
    """A value without a form in XML is refused with its type and its element."""
    with pytest.raises(InvalidRequest, match=r"Name: a \w+ cannot be written as XML"):
        element_of("root", {"Name": value})


def test_levels_without_end():
    """A mapping that holds itself is an error of ours."""
    endless = {}
    endless["a"] = endless
    with pytest.raises(InvalidRequest, match="nested too deep"):
        element_of("root", endless)


FORBIDDEN = [chr(code) for code in (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)]
NAMES = st.from_regex(r"[A-Za-z_æøåÆØÅ][A-Za-z0-9_.\-æøå]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters=FORBIDDEN))
MAPPINGS = st.recursive(
    st.dictionaries(NAMES, TEXTS | st.lists(TEXTS, max_size=3), max_size=4),
    lambda inner: st.dictionaries(NAMES, inner | st.lists(inner, max_size=3), max_size=3),
    max_leaves=6,
)


def read_back(element, value):
    """Whether an element says what the mapping said."""
    if not isinstance(value, dict):
        return not len(element) and (element.text or "") == value
    wanted = [(name, each) for name, item in value.items() for each in (item if isinstance(item, list) else [item])]
    return [name for name, _ in wanted] == [child.tag for child in element] and all(
        read_back(child, each) for child, (_, each) in zip(element, wanted, strict=True)
    )


@given(root=NAMES, value=MAPPINGS)
def test_every_mapping_reads_back(root, value):
    """Whatever names and texts a mapping has, a reader of the XML finds the same."""
    back = ET.fromstring(sent(element_of(root, value)))
    assert back.tag == root
    assert read_back(back, value)


@given(st.binary() | st.text())
def test_whatever_is_sent_is_xml(payload):
    """Bytes and texts either are XML that goes out, or are refused."""
    try:
        body = sent(payload)
    except InvalidRequest:
        return
    ET.fromstring(body)
