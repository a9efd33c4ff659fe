"""Documents that cannot be read, and documents that lie about themselves: each gets its reason, and the rest is
brought in."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from io import BytesIO

import pytest

from tests.app.knowing import Aws, Json, Source, keys
from tests.data.parsing.hostile import pdf
from tests.faults.seen import assert_tells_nothing, resident_bytes
from tests.servers import RunningServer, serving

MEGABYTE = 2**20
MILL = "Die Mühle steht am Flüsschen, ganz nahe der Brücke. Ärgerlich ist nur die Größe."
LYING = (
    '<html><head><meta charset="utf-8"></head>'
    "<body><p>Ein Käfer fiel über Bord. Größere Füße hätten für ihn schön nützlich gewirkt, äußerst öde!</p>"
    "</body></html>"
)
ODD = "a folder/ünïcode & (odd) + 100%25 'quoted' #1?.txt"


def office(members: dict[str, bytes]) -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def good() -> dict[str, bytes]:
    """Key -> bytes of what must be brought in whatever lies beside it."""
    long = [[f"Page {page} of the long report.", f"It speaks of item {page}."] for page in range(1, 1601)]
    return {
        "plain.txt": b"A plain text about otters.",
        "long.pdf": pdf(long),
        "latin.txt": MILL.encode("latin-1"),
        "wide.txt": "A text in UTF-16 about herons.".encode("utf-16"),
        "lying.html": LYING.encode("cp1252"),
        "copy-1.txt": b"The same words stand in two documents, about badgers.",
        "copy-2.txt": b"The same words stand in two documents, about badgers.",
        "near-copy.txt": b"The same words stand in two documents,  about BADGERS!",
        ODD: b"A document with an odd name, about newts.",
    }


def bad() -> dict[str, tuple[bytes, str]]:
    """Key -> bytes, and a word of the reason."""
    return {
        "encrypted.pdf": (pdf([["Secret."]], encrypted=True), "encrypted"),
        "scanned.pdf": (pdf([[], [], []]), "without text"),
        "broken.pdf": (b"%PDF-1.4 and then nothing of the kind", "PDF"),
        "silent.html": (b"<html><head><title></title><script>x=1</script></head><body><img src=a></body></html>", ""),
        "empty.txt": (b"", "empty"),
        "blank.txt": (b" \n \n", "empty"),
        "bomb.docx": (
            office({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<a>" + b" " * (60 * MEGABYTE) + b"</a>"}),
            "",
        ),
        "program.bin": (b"\x7fELF" + bytes(range(256)) * 64, ""),
        "huge.log": (b"2026-01-01 00:00:00 something happened again\n" * (100 * MEGABYTE // 45), "at most"),
    }


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("hostile") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def source(own_server: RunningServer) -> Source:
    """With everything in it, read once."""
    aws = Aws(own_server)
    source = aws.base().s3_source(aws.bucket())
    for key, body in good().items():
        source.put(key, body)
    for key, (body, _) in bad().items():
        source.put(key, body)
    source.put("misdescribed.txt", "A document whose metadata file is broken.")
    source.put("misdescribed.txt.metadata.json", '{"metadataAttributes": {"a": ')
    source.put("shut.txt", "A document whose access list cannot be kept.")
    source.describe("shut.txt", {}, [{"name": "staff", "type": "GROUP", "access": "ALLOW"}])
    return source


@pytest.fixture(scope="module")
def job(source: Source) -> Json:
    return source.ingest()


BESIDE = {"misdescribed.txt": "metadata file", "shut.txt": "groups"}


def test_the_statistics_are_right_and_the_rest_is_brought_in(source: Source, job: Json) -> None:
    failed = len(bad()) + len(BESIDE)
    assert job["statistics"]["numberOfDocumentsScanned"] == len(good()) + failed
    assert job["statistics"]["numberOfNewDocumentsIndexed"] == len(good())
    assert job["statistics"]["numberOfDocumentsFailed"] == failed
    assert len(job["failureReasons"]) == failed
    statuses = {key: document["status"] for key, document in source.documents().items()}
    assert {key for key, status in statuses.items() if status == "INDEXED"} == set(good())
    assert {key for key, status in statuses.items() if status == "FAILED"} == {*bad(), *BESIDE}


def test_every_document_that_failed_says_why(source: Source, job: Json, own_server: RunningServer) -> None:
    expected = {key: word for key, (_, word) in bad().items()} | BESIDE
    which = [
        {"dataSourceType": "S3", "s3": {"uri": f"s3://{source.bucket}/{key}"}} for key in [*expected, "absent.txt"]
    ]
    details: list[Json] = []
    for start in range(0, len(which), 10):
        answer = source.aws.agent.get_knowledge_base_documents(
            **source.ids, documentIdentifiers=which[start : start + 10]
        )
        details += answer["documentDetails"]
    assert details.pop()["status"] == "NOT_FOUND"
    for (key, word), document in zip(expected.items(), details, strict=True):
        assert document["status"] == "FAILED", key
        assert word.lower() in document["statusReason"].lower(), (key, document["statusReason"])
        assert len(document["statusReason"]) > 10
        assert_tells_nothing(document["statusReason"], own_server)
    shown = own_server.craton("kb", "documents", source.base.id, "--failed").stdout
    assert all(key in shown for key in expected)
    assert "plain.txt" not in shown


@pytest.mark.parametrize(
    ("question", "key", "text"),
    [
        ("Page 1234 of the long report item 1234", "long.pdf", "item 1234"),
        ("Mühle Flüsschen Brücke", "latin.txt", "Die Mühle steht am Flüsschen"),
        ("herons", "wide.txt", "A text in UTF-16 about herons."),
        ("Käfer Füße", "lying.html", "Ein Käfer fiel über Bord."),
        ("newts", ODD, "odd name"),
    ],
)
def test_what_could_be_read_says_what_it_said(source: Source, job: Json, question: str, key: str, text: str) -> None:
    hits = [hit for hit in source.base.retrieve(question) if keys([hit]) == [key]]
    assert any(text in hit["content"]["text"] for hit in hits)
    if key == "long.pdf":
        (page,) = {
            hit["metadata"]["x-amz-bedrock-kb-document-page-number"]
            for hit in hits
            if hit["content"]["text"].startswith("Page 1234 ") or "Page 1234 of" in hit["content"]["text"][:40]
        } or {1234}
        assert page == 1234


def test_copies_take_one_place_among_the_results(source: Source, job: Json) -> None:
    assert {"copy-1.txt", "copy-2.txt", "near-copy.txt"} <= set(source.documents())
    found = [key for key in keys(source.base.retrieve("badgers same words two documents")) if "copy" in key]
    assert len(found) == 1


def test_what_failed_is_tried_again_and_what_was_mended_is_brought_in(source: Source, job: Json) -> None:
    source.put("encrypted.pdf", pdf([["The password is gone."]]))
    source.put("misdescribed.txt.metadata.json", json.dumps({"metadataAttributes": {"mended": True}}))
    source.delete("huge.log", "bomb.docx")
    again = source.ingest()["statistics"]
    assert again["numberOfDocumentsFailed"] == len(bad()) + len(BESIDE) - 4
    assert again["numberOfDocumentsSkipped"] == len(good())
    assert again["numberOfDocumentsDeleted"] == 2
    assert again["numberOfNewDocumentsIndexed"] + again["numberOfModifiedDocumentsIndexed"] == 2
    found = source.base.retrieve("document", filter={"equals": {"key": "mended", "value": True}})
    assert keys(found) == ["misdescribed.txt"]


def test_the_server_stays_small(source: Source, job: Json, own_server: RunningServer) -> None:
    assert resident_bytes(own_server.pid) < 400 * MEGABYTE
