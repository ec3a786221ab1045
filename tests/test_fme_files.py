"""Files in FME Flow's shared resources, as plans: names, headers, bodies, what answers mean. No I/O on a wire."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowrunner.backend import Submission, Upload
from flowrunner.backends._fme_files import content_disposition, file_at, multipart, payload_body, remote_file
from flowrunner.backends.fme_flow_v3 import FmeFlowV3, FmeFlowV3Settings
from flowrunner.backends.fme_flow_v4 import FmeFlowV4, FmeFlowV4Settings
from flowrunner.errors import (
    AuthenticationError,
    FlowNotFound,
    FlowrunnerError,
    InvalidParameters,
    InvalidRequest,
    PermissionDenied,
    ProtocolError,
    SubmissionUncertain,
    TransportError,
    VendorError,
)
from flowrunner.models import RemoteFile, SubmitOptions
from flowrunner.plans import FileBody, Response
from flowrunner.simulator.multipart import boundary_of, file_name

FLOW = "Samples/w.fmw"
V3 = "/fmerest/v3/resources/connections/FME_SHAREDRESOURCE_TEMP"
V4 = "/fmeapiv4/resources/connections/FME_SHAREDRESOURCE_TEMP"
REMOTE = RemoteFile(name="å b.gml", reference="$(FME_SHAREDRESOURCE_TEMP)/f/å b.gml", size=4)
TO = Path("to.zip")


@pytest.fixture(params=["v3", "v4"])
def backend(request):
    """A backend of each interface that nothing is connected to."""
    if request.param == "v3":
        return FmeFlowV3(FmeFlowV3Settings(base_url="https://h", token="t0ken"))
    return FmeFlowV4(FmeFlowV4Settings(base_url="https://h", token="t0ken"))


@pytest.fixture
def v3():
    """A backend over V3."""
    return FmeFlowV3(FmeFlowV3Settings(base_url="https://h", token="t0ken"))


@pytest.fixture
def v4():
    """A backend over V4."""
    return FmeFlowV4(FmeFlowV4Settings(base_url="https://h", token="t0ken"))


def said(status, message):
    """An answer in the vendor's own form of an error."""
    return Response(status, {}, b'{"message": "%s"}' % message.encode())


def play(plan, *answers):
    """Play a plan to its end: what it returns, and what it asked."""
    asked = [next(plan)]
    for answer in answers:
        try:
            asked.append(plan.throw(answer) if isinstance(answer, Exception) else plan.send(answer))
        except StopIteration as end:
            assert answer is answers[-1], "it ended before all answers were used"
            return end.value, asked
    raise AssertionError(f"it wants more than that: {asked[-1]}")


def failing(plan, *answers):
    """Play a plan to its end, which is an error of ours."""
    with pytest.raises(FlowrunnerError) as caught:
        play(plan, *answers)
    return caught.value


def upload_of(name="å b.gml", folder="f", content=b"data", progress=None):
    """A file of these bytes."""
    return Upload(name=name, folder=folder, content=FileBody(before=content), progress=progress)


# Names


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a b.gml", 'attachment; filename="a b.gml"'),
        ("100%.gml", 'attachment; filename="100%.gml"'),
        ("Åraksbø.shp", "attachment; filename*=UTF-8''\"%C3%85raksb%C3%B8.shp\""),
        ('a"b.gml', "attachment; filename*=UTF-8''\"a%22b.gml\""),
        ("a\\b.gml", "attachment; filename*=UTF-8''\"a%5Cb.gml\""),
        ("a\r\nX-Evil: 1.gml", "attachment; filename*=UTF-8''\"a%0D%0AX-Evil%3A%201.gml\""),
        ("a\tb", "attachment; filename*=UTF-8''\"a%09b\""),
    ],
)
def test_the_name_in_a_header(name, header):
    """Plain names go quoted; others percent-encoded in quotes, the vendor's flavour of RFC 5987. No line is added."""
    assert header == content_disposition(name)


@example("%22")
@given(st.text(min_size=1, max_size=12).filter(lambda name: name.isprintable() or name.isascii()))
def test_any_name_survives_a_header(name):
    """Whatever a file is called, the server reads the same name, and the header is one line of ASCII."""
    header = content_disposition(name)

    assert header.isascii()
    assert header.isprintable()
    assert name == file_name(header)


@pytest.mark.parametrize(
    ("reference", "connection", "parts"),
    [
        ("$(FME_SHAREDRESOURCE_TEMP)/f/å b.gml", "FME_SHAREDRESOURCE_TEMP", ["f", "å b.gml"]),
        ("$(FME_SHAREDRESOURCE_DATA)//f//x/", "FME_SHAREDRESOURCE_DATA", ["f", "x"]),
        ("$(X)/", "X", []),
        ("$(X)", "X", []),
    ],
)
def test_where_a_reference_leads(reference, connection, parts):
    """A reference is a connection and a path in it."""
    assert (connection, parts) == file_at(reference)


@pytest.mark.parametrize("reference", ["", "a.gml", "/tmp/a.gml", "$(A B)/x", "$()/x", "https://h/x", "$(X"])
def test_what_is_no_reference(backend, reference):
    """Any other text is InvalidRequest before anything is asked, and says how one is written."""
    for plan in (
        backend.download_file(reference, TO, None),
        backend.remove(RemoteFile(name="x", reference=reference)),
    ):
        with pytest.raises(InvalidRequest, match="FME_SHAREDRESOURCE"):
            next(plan)


def test_a_file_at_the_vendor():
    """What was uploaded is referred to in the temporary resource, in its folder or without one."""
    assert str(remote_file("f", "a.gml", 3)) == "$(FME_SHAREDRESOURCE_TEMP)/f/a.gml"
    assert str(remote_file("", "a.gml", None)) == "$(FME_SHAREDRESOURCE_TEMP)/a.gml"


# Bodies


def test_a_form_with_a_file(tmp_path):
    """A form is a head, the file as it is, and an end; its size is known without reading it."""
    file = tmp_path / "a.gml"
    file.write_bytes(b"--f\r\ndata")
    kind, body = multipart("files", 'å "b"\r\n.gml', FileBody(file), "rand0m")

    content = b"".join(body.chunks())
    assert (boundary_of(kind), len(content)) == (b"rand0m", body.size())
    assert content.startswith(
        '--rand0m\r\nContent-Disposition: form-data; name="files"; filename="å %22b%22%0D%0A.gml"\r\n'.encode()
    )
    assert content.endswith(b"\r\n\r\n--f\r\ndata\r\n--rand0m--\r\n")


def test_the_boundary_is_of_each_upload_its_own(v4):
    """No file can hold the boundary of its own upload: it is drawn anew for each, as its folder is."""
    first, second = (next(v4.upload(upload_of(folder=folder))) for folder in ("one", "two"))

    assert first.headers["Content-Type"] != second.headers["Content-Type"]


@pytest.mark.parametrize("payload", [7, None, ["x"], b"x".decode, bytearray(b"x"), {}])
def test_a_payload_is_bytes_or_a_path(payload):
    """Anything else is InvalidRequest that says so."""
    with pytest.raises(InvalidRequest, match="bytes or the path of a file"):
        payload_body(payload)


def test_the_body_of_a_payload(tmp_path):
    """Bytes go as they are, empty ones too; a path, as text or not, is streamed."""
    file = tmp_path / "a"
    file.write_bytes(b"from disk")

    bodies = [payload_body(each) for each in (b"bytes", b"", file, str(file))]
    assert [b"".join(body.chunks()) for body in bodies] == [b"bytes", b"", b"from disk", b"from disk"]


# Uploads


@pytest.mark.parametrize("status", [200, 201])
def test_an_upload_over_v3(v3, status):
    """V3 takes the bytes alone, named by a header; folders are made, and an upload that is repeated overwrites."""

    def progress(done, total):
        pass

    file, (request,) = play(v3.upload(upload_of(progress=progress)), Response(status))

    assert (request.method, request.path) == ("POST", f"{V3}/filesys/f")
    assert request.query == (("createDirectories", "true"), ("overwrite", "true"))
    assert request.headers == {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": "attachment; filename*=UTF-8''\"%C3%A5%20b.gml\"",
    }
    assert (b"".join(request.file.chunks()), request.progress) == (b"data", progress)
    assert file == REMOTE


@pytest.mark.parametrize("status", [200, 201])
def test_an_upload_over_v4(v4, status):
    """V4 takes a form whose part is called `files`, and the folder in the query."""
    file, (request,) = play(v4.upload(upload_of()), Response(status))

    assert (request.method, request.path) == ("POST", f"{V4}/upload")
    assert request.query == (("path", "/f"), ("overwrite", "true"))
    assert b'name="files"; filename="\xc3\xa5 b.gml"' in b"".join(request.file.chunks())
    assert file == REMOTE


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_an_upload_to_a_v4_that_makes_no_folders(v4, status):
    """Where V4 refuses the folder, the file goes to the root under a name no other has."""
    file, (_, request) = play(v4.upload(upload_of()), said(status, "File f does not exist."), Response(201))

    assert request.query == (("path", ""), ("overwrite", "true"))
    assert (file.name, str(file), file.size) == ("f-å b.gml", "$(FME_SHAREDRESOURCE_TEMP)/f-å b.gml", 4)


REFUSALS = [
    (said(401, "no"), AuthenticationError),
    (said(403, "no"), PermissionDenied),
    (said(500, "no"), VendorError),
    (said(507, "There is not enough space on the disk"), VendorError),
    (Response(404, {}, b"<html>"), ProtocolError),
    (Response(204), ProtocolError),
    (Response(207, {}, b'{"items": [], "failed": [{"name": "x"}]}'), VendorError),
    (said(207, "partly"), VendorError),
    (TransportError("cut", maybe_arrived=True), TransportError),
]


@pytest.mark.parametrize(("answer", "expected"), REFUSALS)
def test_the_errors_of_an_upload(backend, answer, expected):
    """A refused upload is the error of its kind; 207, partly done, is a failure that names the file."""
    error = failing(backend.upload(upload_of()), answer)

    assert expected is type(error)
    if isinstance(answer, Response) and answer.status == 207:
        assert "'å b.gml'" in str(error)
        assert error.vendor_message


def test_an_upload_that_v4_refuses_twice(v4):
    """Where the root is refused too, that is the error."""
    error = failing(v4.upload(upload_of()), said(404, "no folder"), said(507, "There is not enough space on the disk"))
    assert (VendorError, 507) == (type(error), error.http_status)


# Away again


def test_a_file_is_removed(v3, v4):
    """Each interface removes a file by its path; one that is gone already is as good."""
    _, (first,) = play(v3.remove(REMOTE), Response(204))
    _, (second,) = play(v4.remove(REMOTE), Response(204))

    assert (first.method, first.path) == ("DELETE", f"{V3}/filesys/f/%C3%A5%20b.gml")
    assert (second.method, second.path, second.query) == ("DELETE", f"{V4}/item", (("path", "/f/å b.gml"),))
    for backend in (v3, v4):
        play(backend.remove(REMOTE), said(404, "File f does not exist."))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said(403, "no"), PermissionDenied),
        (Response(404, {}, b"<html>"), ProtocolError),
        (said(409, "in use"), InvalidRequest),
        (Response(500), VendorError),
    ],
)
def test_a_file_that_stays(backend, answer, expected):
    """A refusal, and an answer of something else than the API, are errors: the file may still be there."""
    assert expected is type(failing(backend.remove(REMOTE), answer))


# Downloads


def test_a_file_is_downloaded(v3, v4):
    """A file is streamed to disk from each interface's address, whatever its name."""
    _, (first,) = play(v3.download_file(str(REMOTE), TO, None), Response(200))
    _, (second,) = play(v4.download_file(str(REMOTE), TO, None), Response(200))

    assert first.path == f"{V3}/filesys/f/%C3%A5%20b.gml?accept=contents"
    assert second.path == f"{V4}/download?path=%2Ff%2F%C3%A5%20b.gml"
    for request in (first, second):
        assert (request.method, request.save_to, request.headers["Accept"]) == ("GET", TO, "*/*")


def test_a_folder_is_downloaded_as_a_zip(v3, v4):
    """A folder comes as a zip: over V3 all of it, over V4 by the names of what is in it."""
    folder = "$(FME_SHAREDRESOURCE_TEMP)/f/"
    _, (whole,) = play(v3.download_file(folder, TO, None), Response(200))
    assert (whole.method, whole.path, whole.save_to) == ("POST", f"{V3}/downloadzip/f", TO)
    assert whole.query == (("zipFileName", "resources.zip"), ("fileNames", "."))
    assert whole.headers["Accept"] == "application/zip"

    listing = Response(200, {}, b'{"contents": [{"name": "a"}, {"name": "b", "type": "file"}]}')
    _, (info, named) = play(v4.download_file(folder, TO, None), listing, Response(200))
    assert (info.path, info.query) == (f"{V4}/info", (("path", "/f"),))
    assert named.json == {"path": "/f", "items": ["a", "b"], "zipFileName": "resources.zip"}
    assert (named.path, named.save_to) == (f"{V4}/downloadzip", TO)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said(404, "File f does not exist."), InvalidRequest),
        (said(401, "no"), AuthenticationError),
        (Response(404, {}, b"<html>"), ProtocolError),
        (Response(500), VendorError),
    ],
)
@pytest.mark.parametrize("reference", ["$(X)/f", "$(X)/f/"])
def test_the_errors_of_a_download(backend, answer, expected, reference):
    """What is not there, or may not be had, is the error of its kind."""
    assert expected is type(failing(backend.download_file(reference, TO, None), answer))


@pytest.mark.parametrize("count", [0, 501])
def test_a_folder_that_v4_does_not_pack(v4, count):
    """V4 packs one to five hundred files; of more or none nothing is asked, and the error says how many there are."""
    names = ", ".join('{"name": "a"}' for _ in range(count))
    listing = Response(200, {}, b'{"contents": [%s]}' % names.encode())
    assert f"holds {count} files" in str(failing(v4.download_file("$(X)/f/", TO, None), listing))


def test_a_folder_that_v4_does_not_give(v4):
    """A zip that is refused after the listing is the error of its kind."""
    listing = Response(200, {}, b'{"contents": [{"name": "a"}]}')
    assert isinstance(failing(v4.download_file("$(X)/f/", TO, None), listing, Response(500)), VendorError)


# Payloads


def description(*names, kind="file"):
    """The parameters of a workspace, in a form that both interfaces read: all of them files, or none."""
    entries = ", ".join(
        f'{{"name": "{name}", "type": "{"FILENAME" if kind == "v3" else kind}", "model": "string"}}' for name in names
    )
    return Response(200, {}, f"[{entries}]".encode())


def payload_of(**more):
    """A submission with a payload."""
    return Submission(flow=FLOW, payload=b"data", upload_folder="f", **more)


def test_a_payload_finds_its_parameter(backend):
    """The one parameter that reads a file takes the payload; the caller sees the file among the uploads."""
    shown = description("SourceDataset_GML", "DestDataset_SHAPE")
    accepted, (_, upload, submit) = play(
        backend.submit(payload_of()), shown, Response(201), Response(202, {}, b'{"id": 1}')
    )

    assert upload.file is not None
    text = "$(FME_SHAREDRESOURCE_TEMP)/f/payload"
    assert submit.json["publishedParameters"] in (
        [{"name": "SourceDataset_GML", "value": text}],
        {"SourceDataset_GML": text},
    )
    assert [str(file) for file in accepted.uploads] == [text]


@pytest.mark.parametrize(
    ("names", "text"),
    [((), "no parameter that reads a file"), (("SourceA", "SourceB"), r"several .*\(SourceA, SourceB\)")],
)
def test_a_payload_without_one_parameter(backend, names, text):
    """Where none or several could take the payload, the error names them and the option that decides; nothing goes."""
    with pytest.raises(InvalidRequest, match=f"{text}.*payload_parameter"):
        play(backend.submit(payload_of()), description(*names))


NAMED = SubmitOptions(extra={"payload_parameter": "P"})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said(422, "bad"), InvalidParameters),
        (said(404, "Item does not exist."), FlowNotFound),
        (TransportError("no", maybe_arrived=False), TransportError),
    ],
)
@pytest.mark.parametrize("removal", [Response(204), Response(500), TransportError("cut", maybe_arrived=True)])
def test_a_payload_of_a_refused_submission(backend, answer, expected, removal):
    """Where certainly nothing was started the payload is taken away again; that this fails changes no error."""
    plan = backend.submit(payload_of(options=NAMED))
    next(plan)
    plan.send(Response(201))
    request = plan.throw(answer) if isinstance(answer, Exception) else plan.send(answer)

    assert request.method == "DELETE"
    with pytest.raises(expected):
        plan.throw(removal) if isinstance(removal, Exception) else plan.send(removal)


def test_a_payload_of_an_uncertain_submission(backend):
    """A run that may have been started needs its payload: it stays."""
    error = failing(backend.submit(payload_of(options=NAMED)), Response(201), TransportError("cut", maybe_arrived=True))
    assert isinstance(error, SubmissionUncertain)
