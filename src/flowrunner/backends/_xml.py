"""XML for vendors that want it: made from what callers have, and checked without expanding anything.

No document type is accepted: entities, which a few hundred bytes can blow up to gigabytes, come with one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from copy import copy
from datetime import date
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

from flowrunner.errors import InvalidRequest
from flowrunner.plans import FileBody, call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowrunner.plans import Plan

__all__ = ["element_of", "xml_body"]

NAME: Final = re.compile(r"[^\W\d][\w.\-]*")
"""What may name an element; a colon would need a namespace."""
FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
"""Characters that XML has no way to write."""
DECLARATION: Final = re.compile(r"\ufeff?\s*(<\?xml\s[^>]*\?>)?")
"""What may stand before the document itself."""
WIDE: Final = re.compile(rb"\xff\xfe|\xfe\xff|\x00|.\x00", re.DOTALL)
"""How UTF-16 and UTF-32 begin."""


def xml_body(payload: Any) -> Plan[FileBody]:
    """A payload as a body of UTF-8 XML: text, bytes, a file, or an element of `xml.etree`.

    Raises:
        InvalidRequest: it is none of these, is not well-formed, has a document type, or is not UTF-8.
    """
    body = _body(payload)
    problem = yield from call(lambda: _problem(body))
    if problem is not None:
        raise InvalidRequest(f"the payload cannot be sent as XML: {problem}")
    return body


def _body(payload: Any) -> FileBody:
    if isinstance(payload, ET.ElementTree):
        payload = payload.getroot()
    if isinstance(payload, ET.Element):
        return FileBody(before=_written(payload))
    if isinstance(payload, str):
        # What it says about its encoding was true of where it came from.
        start = DECLARATION.match(payload)
        return FileBody(before=payload[start.end() if start else 0 :].encode("utf-8", "surrogatepass"))
    if isinstance(payload, bytes):
        return FileBody(before=payload)
    if isinstance(payload, PathLike):
        return FileBody(Path(payload))
    raise InvalidRequest(
        f"a payload is XML as text, bytes, a path or an element, or a mapping, not {type(payload).__name__}"
    )


def _written(element: ET.Element) -> bytes:
    alone = copy(element)
    alone.tail = None  # what follows it in the document it was taken from
    try:
        text: bytes = ET.tostring(alone, encoding="utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        problem = str(error)
    else:
        return text.replace(b"\r", b"&#13;")  # as it is, it would be read as the end of a line
    raise InvalidRequest(f"the payload cannot be sent as XML: {problem}")


def _problem(body: FileBody) -> str | None:
    """What is wrong with the XML; read piece by piece, so a large file stays on disk."""
    check = _Check()
    try:
        for chunk in body.chunks():
            check.feed(chunk)
            if check.problem is not None:
                break
        else:
            check.end()
    except expat.ExpatError as error:
        return check.problem or f"it is not well-formed ({error})"
    except OSError as error:
        return f"the file cannot be read ({error.strerror})"
    return check.problem


class _Check:
    """Reads XML up to the first problem.

    Expat cannot be stopped halfway through what it was given. So up to the root element it is given a tag at a time: a
    document type is seen before any entity that it declares is used.
    """

    def __init__(self) -> None:
        self.problem: str | None = None
        self._parser = expat.ParserCreate()
        self._parser.XmlDeclHandler = self._declared
        self._parser.StartDoctypeDeclHandler = self._typed
        self._parser.StartElementHandler = self._rooted
        self._in_prolog = True
        self._is_first = True

    def feed(self, chunk: bytes) -> None:
        if self._is_first and WIDE.match(chunk):
            self.problem = "it is encoded as UTF-16 or UTF-32: encode it as UTF-8"
        self._is_first = False
        for piece in self._pieces(chunk):
            if self.problem is not None:
                return
            self._parser.Parse(piece, False)  # noqa: FBT003 - expat takes it by position

    def end(self) -> None:
        self._parser.Parse(b"", True)  # noqa: FBT003 - as above

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        start = 0
        while self._in_prolog and (end := chunk.find(b">", start) + 1):
            yield chunk[start:end]
            start = end
        yield chunk[start:]

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.casefold().replace("-", "") not in {"utf8", "usascii", "ascii"}:
            self.problem = f"it is encoded as {encoding}: encode it as UTF-8"

    def _typed(self, *_: Any) -> None:
        self.problem = "it has a document type (<!DOCTYPE ...>): leave it out"

    def _rooted(self, *_: Any) -> None:
        self._in_prolog = False
        self._parser.StartElementHandler = None


def element_of(root: str, value: Mapping[str, Any]) -> ET.Element:
    """An element of this name with the mapping's content: mappings nest, lists repeat their element.

    Raises:
        InvalidRequest: a name, a character or a value has no place in XML.
    """
    element = ET.Element(_checked_name(root))
    try:
        _fill(element, value)
    except RecursionError:
        pass
    else:
        return element
    raise InvalidRequest(f"what is to go into {root} is nested too deep for XML")


def _fill(element: ET.Element, value: Any) -> None:
    if isinstance(value, Mapping):
        for name, item in value.items():
            for each in item if isinstance(item, list | tuple) else [item]:
                _fill(ET.SubElement(element, _checked_name(name)), each)
    else:
        element.text = _text(element.tag, value)


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise InvalidRequest(f"{name!r} cannot be the name of an XML element")
    return name


def _text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str | int | float):
        raise InvalidRequest(f"{name}: a {type(value).__name__} cannot be written as XML")
    text = str(value)
    if FORBIDDEN.search(text):
        raise InvalidRequest(f"{name}: the text has a character that XML cannot hold")
    return text
