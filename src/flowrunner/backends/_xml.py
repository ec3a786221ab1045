"""XML for vendors that want it: made from what callers have, and checked without expanding anything.

No document type is accepted: entities, which a few hundred bytes can blow up to gigabytes, come with one.
"""

from __future__ import annotations

import base64
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

from flowrunner.errors import InvalidRequest
from flowrunner.plans import FileBody, call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowrunner.plans import Plan

__all__ = ["element_of", "xml_body"]

NAME: Final = re.compile(r"[^\W\d][\w.\-]*")
"""What may name an element; a colon would need a namespace."""
FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
"""Characters that XML has no way to write."""
DECLARATION: Final = re.compile(r"\s*<\?xml[^>]*\?>")
CHUNK: Final = 256 * 1024


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
        return FileBody(before=ET.tostring(payload, encoding="utf-8"))
    if isinstance(payload, str):
        # What it says about its encoding was true of where it came from.
        return FileBody(before=DECLARATION.sub("", payload, count=1).encode("utf-8", "surrogatepass"))
    if isinstance(payload, bytes):
        return FileBody(before=payload)
    if isinstance(payload, Path):
        return FileBody(payload)
    raise InvalidRequest(
        f"a payload is XML as text, bytes, a pathlib.Path or an element, or a mapping, not {type(payload).__name__}"
    )


def _problem(body: FileBody) -> str | None:
    """What is wrong with the XML; read piece by piece, so a large file stays on disk."""
    parser = expat.ParserCreate()
    found: list[str] = []
    parser.StartDoctypeDeclHandler = lambda *_: found.append("it has a document type (<!DOCTYPE ...>): leave it out")
    parser.XmlDeclHandler = lambda _, encoding, __: found.extend(_encoding_problem(encoding))
    try:
        for chunk in body.chunks():
            parser.Parse(chunk, False)  # noqa: FBT003 - expat takes it by position
            if found:
                return found[0]
        parser.Parse(b"", True)  # noqa: FBT003 - as above
    except expat.ExpatError as error:
        return found[0] if found else f"it is not well-formed ({error})"
    except OSError as error:
        return f"the file cannot be read ({error.strerror})"
    return found[0] if found else None


def _encoding_problem(encoding: str | None) -> list[str]:
    if encoding is None or encoding.casefold().replace("-", "") in {"utf8", "usascii", "ascii"}:
        return []
    return [f"it is encoded as {encoding}: encode it as UTF-8"]


def element_of(root: str, value: Mapping[str, Any]) -> ET.Element:
    """An element of this name with the mapping's content: mappings nest, lists repeat their element.

    Raises:
        InvalidRequest: a name, a character or a value has no place in XML.
    """
    element = ET.Element(_checked_name(root))
    _fill(element, value)
    return element


def _fill(element: ET.Element, value: Any) -> None:
    if isinstance(value, dict):
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
