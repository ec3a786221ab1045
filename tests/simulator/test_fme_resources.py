"""The shared resources of FME Flow, over both APIs."""

from __future__ import annotations

import hashlib
import io
import time
import zipfile
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from flowrunner.simulator import Quirks, Simulator

V3 = "/fmerest/v3/resources/connections"
V4 = "/fmeapiv4/resources/connections"
TEMP = "FME_SHAREDRESOURCE_TEMP"
FILES, ZIP = f"{V3}/{TEMP}/filesys", f"{V3}/{TEMP}/downloadzip"
RAW = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def simulator(clock):
    """A server of a build with both APIs."""
    with Simulator("fme-flow", clock=clock) as serving:
        yield serving


@pytest.fixture
def put(api):
    """Return a function that stores a file over V3 and gives the answer."""

    def send(path, content=b"abc", query="createDirectories=true", disposition=None):
        folder, _, name = path.rpartition("/")
        headers = RAW | {"Content-Disposition": disposition or f'attachment; filename="{name}"'}
        return api.post(f"{FILES}/{folder}?{query}", content=content, headers=headers)

    return send


def names(answer):
    """Return the names in a folder."""
    return [entry["name"] for entry in answer.json()["contents"]]


def unpacked(answer):
    """Return the names in a zip and what they hold."""
    assert answer.headers["content-type"] == "application/zip", answer.text
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    return {name: archive.read(name) for name in archive.namelist()}


def on_disk(simulator):
    """Return the files that the server keeps."""
    folder = simulator.world.resources._folder
    return [] if folder is None else list(Path(folder).iterdir())


def settles(count, expected):
    """Whether a count comes to be what is expected; the server tidies up after it answered."""
    deadline = time.monotonic() + 5
    while count() != expected and time.monotonic() < deadline:
        time.sleep(0.01)
    return count() == expected


# Over V3


@pytest.mark.parametrize("status", [201, 200])
def test_a_file_is_stored_and_given_away(simulator, api, put, status):
    """An octet-stream is stored under its name and answered with its record; it comes back as it was."""
    simulator.quirks = Quirks(upload_status=status)

    answer = put("a/b/x.gml", b"<gml/>")

    assert status == answer.status_code
    assert answer.json() == {
        "name": "x.gml",
        "path": "a/b/",
        "type": "FILE",
        "size": 6,
        "date": "2025-01-01T12:00:00Z",
    }
    downloads = [
        api.get(f"{FILES}/a/b/x.gml?accept=contents"),
        api.get(f"{FILES}/a/b/x.gml", headers={"Accept": "application/octet-stream"}),
        api.post(f"{V3}/{TEMP}/download/a/b/x.gml", data={"accept": "contents", "disposition": "inline"}),
    ]
    assert [download.content for download in downloads] == [b"<gml/>"] * 3
    dispositions = [download.headers["content-disposition"] for download in downloads]
    assert [text.partition(";")[0] for text in dispositions] == ["attachment", "attachment", "inline"]
    assert api.get(f"{FILES}/a/b/x.gml", headers={"Accept": "application/json"}).json()["size"] == 6


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename=x.shp", "x.shp"),
        ('attachment; filename="x y.shp"', "x y.shp"),
        ('attachment; filename= "x.shp"', "x.shp"),
        (r'attachment; filename="a\"b.shp"', 'a"b.shp'),
        ("attachment; filename*=UTF-8''\"%C3%85raksb%C3%B8.shp\"", "Åraksbø.shp"),
        ("attachment; filename*=utf-8''%C3%85raksb%C3%B8%20100%25.shp; x=1", "Åraksbø 100%.shp"),
        ("attachment; filename=\"plain\"; filename*=UTF-8''%C3%85", "Å"),
        ('attachment; filename="Åraksbø.shp"'.encode(), "Åraksbø.shp"),
    ],
)
def test_names_come_in_many_forms(api, put, disposition, name):
    """A name stands plain, quoted, or extended with and without the quotes that the vendor wants around it."""
    assert put("x", disposition=disposition).json()["name"] == name
    assert api.get(f"{FILES}/{quote(name, safe='')}?accept=contents").content == b"abc"


@pytest.mark.parametrize("disposition", ["attachment", 'attachment; filename="a/b"', 'attachment; filename=".."'])
def test_files_need_a_name(put, disposition):
    """A file without a name, or with one that is a path, is refused."""
    assert put("x", disposition=disposition).status_code == 400


def test_folders_must_be_there(api, put):
    """An upload into a folder that is not there is a 404 unless it may be made; a file is no folder."""
    assert put("a/x", query="createDirectories=false").status_code == 404
    assert put("a/x").status_code == 201
    assert put("a/x/y").status_code == 409
    assert put("a/x/y", query="").status_code == 409


def test_files_are_not_overwritten_unasked(simulator, api, put):
    """A file that is there is a 409 unless it may be overwritten; what was refused leaves nothing on the disk."""
    put("x", b"one")
    refused = put("x", b"two")

    assert (refused.status_code, refused.json()["message"]) == (409, "File x already exists.")
    assert len(on_disk(simulator)) == 1
    assert put("x", b"three", "overwrite=true").json()["size"] == 5
    assert api.get(f"{FILES}/x?accept=contents").content == b"three"
    assert len(on_disk(simulator)) == 1


def test_a_multipart_answers_an_array(api):
    """A multipart body stores all of its files, whatever its fields are called, and answers an array of records."""
    files = [("file", ("å b.txt", b"1")), ("files[]", ('q"x', b"2" * 100_000)), ("files", ("e", b""))]

    answer = api.post(f"{FILES}/m?createDirectories=true", files=files, data={"comment": "x"})

    assert (answer.status_code, [record["name"] for record in answer.json()]) == (201, ["å b.txt", 'q"x', "e"])
    assert [record["size"] for record in answer.json()] == [1, 100_000, 0]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (
            b"--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\nabc",
            "multipart/form-data; boundary=b",
            400,
        ),
        (b"nothing", 'multipart/form-data; boundary="b"', 400),
        (b"--b", "multipart/form-data; boundary=b", 400),
        (b"", "multipart/form-data", 415),
        (b"{}", "application/json", 415),
    ],
)
@pytest.mark.parametrize("url", [f"{FILES}/", f"{V4}/{TEMP}/upload?path="])
def test_bodies_that_are_no_upload(simulator, api, url, *, content, kind, status):
    """A body that breaks off is a 400 and leaves nothing on the disk; another type a 415."""
    assert status == api.post(url, content=content, headers={"Content-Type": kind}).status_code
    assert on_disk(simulator) == []


def test_a_folder_is_made(api):
    """A form makes a folder; one that is there, or has no name, is refused."""
    form = {"directoryname": "ø", "type": "DIR"}

    answers = [
        api.post(FILES, data=form),
        api.post(f"{FILES}/", data=form),
        api.post(f"{FILES}/", data={"type": "DIR"}),
    ]

    assert [answer.status_code for answer in answers] == [201, 409, 400]
    assert answers[0].json()["type"] == "DIR"
    assert api.post(f"{FILES}/none", data=form).status_code == 404


def test_folders_are_listed(api, put):
    """A folder lists what is in it by name, as deep as asked."""
    for path in ("b/two", "b/one", "a"):
        put(path)

    assert names(api.get(FILES)) == names(api.get(f"{FILES}/")) == ["a", "b"]
    assert names(api.get(f"{FILES}/b/")) == ["one", "two"]
    assert names(api.get(f"{FILES}/b?accept=contents")) == ["one", "two"]
    deep = api.get(f"{FILES}/?depth=2").json()["contents"]
    assert [entry["name"] for entry in deep[1]["contents"]] == ["one", "two"]
    assert "contents" not in api.get(f"{FILES}/?depth=0").json()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?zipFileName=z.zip&fileNames=.", {"x": b"1", "s/y": b"2", "s/t/z": b"3"}),
        ("?fileNames=x&fileNames=s/t", {"x": b"1", "s/t/z": b"3"}),
        ("", {"x": b"1", "s/y": b"2", "s/t/z": b"3"}),
    ],
)
def test_files_are_packed(simulator, api, put, query, expected):
    """A zip holds what was named in a folder, all of it by default, and does not stay on the disk."""
    for path, content in (("f/x", b"1"), ("f/s/y", b"2"), ("f/s/t/z", b"3"), ("other", b"4")):
        put(path, content)

    answer = api.post(f"{ZIP}/f{query}", data={"a": "b"})

    assert expected == unpacked(answer)
    assert ("z.zip" in query) == ("z.zip" in answer.headers["content-disposition"])
    assert settles(lambda: len(on_disk(simulator)), 4)


def test_everything_is_packed(api, put):
    """The top of a connection is a folder like any other; names may stand in the form."""
    put("x")
    put("y")

    assert unpacked(api.post(ZIP, data={"fileNames": "y", "zipFileName": "z.zip"})) == {"y": b"abc"}
    assert unpacked(api.post(ZIP)).keys() == {"x", "y"}


@pytest.mark.parametrize("path", ["no", "x?fileNames=no", "?fileNames=no"])
def test_what_is_not_there_is_not_packed(api, put, path):
    """A folder or a name that is not there is a 404, a file that is no folder a 409."""
    put("x")

    assert api.post(f"{ZIP}/{path}").status_code == (409 if path.startswith("x") else 404)


def test_files_and_folders_are_deleted(simulator, api, put):
    """A file, or a folder with all in it, is deleted with 204; a second time it is a 404 that says so."""
    put("f/x")
    put("f/y")

    answers = [api.delete(f"{FILES}/{path}") for path in ("f/x", "f", "f", "f/y", "")]

    assert [answer.status_code for answer in answers] == [204, 204, 404, 404, 403]
    assert answers[2].json() == {"message": "File f does not exist."}
    assert on_disk(simulator) == []


def test_connections(api):
    """The connections are the vendor's six; another is a 404, and a path does not lead out of one."""
    page = api.get(V3).json()

    assert (page["totalCount"], page["limit"], TEMP in [item["name"] for item in page["items"]]) == (6, -1, True)
    assert page == api.get(V4).json()
    assert api.get(f"{V3}/FME_NOTHING/filesys/").status_code == 404
    assert api.get(f"{FILES}/a/%2E%2E/b").status_code == 400


def test_a_folder_is_no_download(api, put):
    """The bytes of a folder cannot be had."""
    put("f/x")

    assert api.post(f"{V3}/{TEMP}/download/f", data={"accept": "contents"}).status_code == 422
    assert api.get(f"{V4}/{TEMP}/download?path=f").status_code == 400


# Over V4


def upload(api, *files, query="path=/in&overwrite=false"):
    """Send files over V4."""
    return api.post(f"{V4}/{TEMP}/upload?{query}", files=[("files", file) for file in files])


def test_v4_stores_and_gives_away(simulator, api):
    """Files are stored in a folder that need not be there, listed, given away alone and packed, and deleted."""
    answer = upload(api, ("å.gml", b"1"), ("b", b"2"))

    assert (answer.status_code, [item["name"] for item in answer.json()["items"]]) == (201, ["å.gml", "b"])
    info = api.get(f"{V4}/{TEMP}/info?path=/in").json()
    assert [(entry["name"], entry["type"]) for entry in info["contents"]] == [("b", "file"), ("å.gml", "file")]
    assert api.get(f"{V4}/{TEMP}/info?path=/in/b").json()["size"] == 1
    assert api.get(f"{V4}/{TEMP}/info?path=").json()["contents"][0]["type"] == "directory"
    assert api.get(f"{V4}/{TEMP}/download", params={"path": "/in/å.gml"}).content == b"1"
    body = {"path": "/in", "items": ["å.gml"], "zipFileName": "z.zip"}
    assert unpacked(api.post(f"{V4}/{TEMP}/downloadzip", json=body)) == {"å.gml": b"1"}
    assert api.delete(f"{V4}/{TEMP}/item?path=/in").status_code == 204
    assert api.get(f"{V4}/{TEMP}/info?path=/in").status_code == 404


def test_both_apis_have_the_same_files(api, put):
    """What was stored over V3 is there over V4."""
    put("f/x")

    assert api.get(f"{V4}/{TEMP}/download?path=/f/x").content == b"abc"


def test_v4_stores_some_of_the_files(simulator, api):
    """Where some files cannot be stored the answer is 207; where none can, it is that of the first."""
    upload(api, ("a", b"1"))
    simulator.world.resources.refused.add("c")

    some = upload(api, ("a", b"2"), ("b", b"3"), ("c", b"4"))
    none = [upload(api, ("a", b"2"), ("c", b"4")), upload(api, ("c", b"4"), query="path=")]

    assert (some.status_code, [item["name"] for item in some.json()["items"]]) == (207, ["b"])
    assert some.json()["failed"][0] == {"name": "a", "message": "File in/a already exists."}
    assert [answer.status_code for answer in none] == [409, 500]
    assert upload(api, ("a", b"2"), query="path=in&overwrite=true").status_code == 201


def test_v4_may_not_make_folders(simulator, api):
    """An upload into a folder that is not there may be refused."""
    simulator.quirks = Quirks(missing_folder="refuse")

    assert upload(api, ("a", b"1")).status_code == 404
    assert upload(api, ("a", b"1"), query="path=").status_code == 201


@pytest.mark.parametrize(
    ("method", "tail", "more"),
    [
        ("POST", "upload", {"files": {"files": b"1"}}),
        ("POST", "upload?path=", {"files": {"file": b"1"}}),
        ("GET", "info", {}),
        ("GET", "download", {}),
        ("DELETE", "item", {}),
        ("POST", "downloadzip", {"json": {"items": ["a"]}}),
        ("POST", "downloadzip", {"json": {"path": ""}}),
        ("POST", "downloadzip", {"json": {"path": "", "items": []}}),
        ("POST", "downloadzip", {"json": {"path": "", "items": ["."]}}),
        ("POST", "downloadzip", {"json": {"path": "", "items": ["a"] * 501}}),
    ],
)
def test_v4_refuses(api, method, tail, more):
    """A missing path, a wrong field name and names that are none, too many or a wildcard are refused with 400."""
    answer = api.request(method, f"{V4}/{TEMP}/{tail}", **more)

    assert (answer.status_code, answer.json()["message"]) == (400, "Parameter Validation Failed")


# On the disk


@pytest.mark.parametrize("status", [507, 500])
def test_the_disk_may_be_full(simulator, api, put, status):
    """An upload there is no room for is refused and leaves nothing behind; what is deleted makes room again."""
    simulator.quirks = Quirks(full_status=status)
    simulator.world.resources.capacity = 5
    put("x", b"123")

    assert [put("y", b"456").status_code, upload(api, ("y", b"456")).status_code] == [status, status]
    assert len(on_disk(simulator)) == 1
    api.delete(f"{FILES}/x")
    assert put("y", b"45678").status_code == 201


def test_large_files_are_not_in_memory(simulator, api, put):
    """A large body goes to the disk as it comes; its record has its size, its digest and only its beginning."""
    chunk, times = bytes(range(256)) * 512, 64
    digest = hashlib.sha256(chunk * times).hexdigest()

    put("big", (chunk for _ in range(times)))
    with api.stream("GET", f"{FILES}/big?accept=contents") as answer:
        received = hashlib.sha256()
        for part in answer.iter_bytes():
            received.update(part)

    assert digest == received.hexdigest()
    request = simulator.requests[0]
    assert (digest, len(chunk) * times) == (request.sha256, request.size)
    assert len(request.body) < 2 * 2**20


def test_a_large_body_is_read_before_it_is_refused(simulator, anyone):
    """A request is read to its end before it is answered, whoever sent it."""
    url = f"{simulator.base_url}{FILES}/"

    answer = anyone.post(url, content=b"x" * (4 << 20), headers=RAW)

    assert (answer.status_code, simulator.requests[0].size) == (401, 4 << 20)


def test_files_are_gone_after_the_end(simulator, api, put):
    """Stopping removes all files from the disk; the server starts again without them."""
    put("x")
    folder = simulator.world.resources._folder
    simulator.stop()
    assert not folder.exists()

    simulator.start()

    assert api.get(f"{FILES}/x").status_code == 404


def test_a_client_that_leaves_stores_nothing(simulator, api):
    """A connection that breaks in the middle of a large body leaves no file, and the server goes on."""

    def breaking():
        yield b"x" * (2 << 20)
        assert settles(lambda: len(simulator.requests), 1)
        raise RuntimeError

    headers = RAW | {"Content-Disposition": "attachment; filename=x", "Content-Length": str(9 << 20)}
    with pytest.raises(RuntimeError):
        api.post(f"{FILES}/", content=breaking(), headers=headers)

    assert api.get(f"{FILES}/x").status_code == 404
    assert simulator.requests[0].status is None
    assert settles(lambda: len(on_disk(simulator)), 0)


@pytest.mark.parametrize("how", ["reset_before", "reset_after"])
def test_a_large_upload_can_be_cut(simulator, put, api, how):
    """A large upload is cut in its middle or after it was stored."""
    simulator.cut_next(how, method="POST")

    with pytest.raises(httpx.TransportError):
        put("big", b"x" * (8 << 20))

    assert api.get(f"{FILES}/big").status_code == (404 if how == "reset_before" else 200)
