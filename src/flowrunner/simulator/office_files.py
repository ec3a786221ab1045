"""Real documents, made in memory: the same bytes for the same text."""

from __future__ import annotations

import io
import zipfile
from xml.sax.saxutils import escape

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

_TYPES = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{DOCX}.main+xml"/></Types>'
)
_RELATIONS = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"'
    ' Target="word/document.xml"/></Relationships>'
)
_DOCUMENT = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    "<w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"
)
_PDF_OBJECTS = (
    b"<< /Type /Catalog /Pages 2 0 R >>",
    b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
    b"",  # the text
    b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
)


def make_document(content_type: str, text: str) -> bytes:
    """Return a PDF or a DOCX of one line; of any other type the text itself."""
    makers = {PDF: _make_pdf, DOCX: _make_docx}
    return makers.get(content_type, str.encode)(text)


def _make_docx(text: str) -> bytes:
    parts = {
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": _RELATIONS,
        "word/document.xml": _DOCUMENT.format(text=escape(text)),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def _make_pdf(text: str) -> bytes:
    """Write a page with a line on it, and where in the file each object begins."""
    drawn = "".join(f"\\{mark}" if mark in "()\\" else mark for mark in text)
    line = b"BT /F1 14 Tf 72 770 Td (" + drawn.encode("cp1252", "replace") + b") Tj ET"
    stream = b"<< /Length %d >>\nstream\n%b\nendstream" % (len(line), line)
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(_PDF_OBJECTS, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content or stream)
    table, count = len(out), len(places) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % count
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, table)
    return bytes(out)
