"""Bringing documents in through unmodified boto3: jobs, changes, deletions, chunking, documents handed in."""

from __future__ import annotations

import json

import pytest

from tests.app.knowing import Aws, Base, Json, Source, inline, key_of, keys, told
from tests.faults.seen import wait_until
from tests.servers import RunningServer


@pytest.fixture(scope="module")
def aws(server: RunningServer) -> Aws:
    return Aws(server)


@pytest.fixture(scope="module")
def base(aws: Aws) -> Base:
    """Of which every test uses a source of its own; retrieval is narrowed down to it."""
    return aws.base()


def counts(job: Json) -> dict[str, int]:
    """The statistics that are not 0, without their long names."""
    names = {name.removeprefix("numberOf"): number for name, number in job["statistics"].items()}
    return {name: number for name, number in names.items() if number}


def found(source: Source, text: str = "anything") -> dict[str, str]:
    """What can be retrieved of a source: key -> text, several chunks joined."""
    texts: dict[str, str] = {}
    for result in source.base.retrieve(text):
        if result["metadata"]["x-amz-bedrock-kb-data-source-id"] == source.id:
            (key,) = keys([result])
            texts[key] = texts.get(key, "") + result["content"]["text"]
    return texts


def test_changes_and_deletions_are_followed(base: Base, aws: Aws) -> None:
    source = base.s3_source(aws.bucket())
    for key in ("a.txt", "b.txt", "c.txt", "d.txt"):
        source.put(key, f"The first text of {key}.")
    assert counts(source.ingest()) == {"DocumentsScanned": 4, "NewDocumentsIndexed": 4}
    assert counts(source.ingest()) == {"DocumentsScanned": 4, "DocumentsSkipped": 4}
    source.put("a.txt", "The second text of a.txt.")
    source.put("b.txt", "The first text of b.txt.")  # written again, the same
    source.delete("c.txt")
    source.put("e.txt", "The first text of e.txt.")
    source.describe("d.txt", {"colour": "green"})
    job = source.ingest()
    assert counts(job) == {
        "DocumentsScanned": 4,
        "MetadataDocumentsScanned": 1,
        "MetadataDocumentsModified": 1,
        "NewDocumentsIndexed": 1,
        "ModifiedDocumentsIndexed": 2,  # one for its metadata
        "DocumentsDeleted": 1,
        "DocumentsSkipped": 1,
    }
    assert found(source) == {
        "a.txt": "The second text of a.txt.",
        "b.txt": "The first text of b.txt.",
        "d.txt": "The first text of d.txt.",
        "e.txt": "The first text of e.txt.",
    }
    assert keys(base.retrieve("text", filter={"equals": {"key": "colour", "value": "green"}})) == ["d.txt"]
    source.delete("d.txt.metadata.json")
    assert counts(source.ingest())["MetadataDocumentsModified"] == 1
    assert base.retrieve("text", filter={"equals": {"key": "colour", "value": "green"}}) == []
    assert set(source.documents()) == {"a.txt", "b.txt", "d.txt", "e.txt"}


@pytest.mark.slow
def test_a_source_that_suddenly_shrinks_waits_for_a_word(base: Base, aws: Aws, server: RunningServer) -> None:
    source = base.s3_source(aws.bucket())
    names = [f"{number:02}.txt" for number in range(24)]
    for name in names:
        source.put(name, f"Text {name} of a source that shrinks.")
    source.ingest()
    source.delete(*names[4:])
    job = source.ingest("FAILED")
    assert "20" in job["failureReasons"][0]
    assert "confirm" in job["failureReasons"][0]
    assert len(source.documents()) == 24
    told_ = server.craton("kb", "sync", base.id, check=False)
    assert told_.returncode != 0
    server.craton("kb", "sync", base.id, "--confirm-shrinking")
    assert set(source.settled()) == set(names[:4])
    assert set(found(source)) == set(names[:4])


def test_one_ingestion_of_a_source_at_a_time_and_it_can_be_stopped(aws: Aws) -> None:
    source = aws.base().s3_source(aws.bucket())
    sentence = "A sentence that fills the page of a long document without saying much. "
    for number in range(40):
        source.put(f"{number}.txt", f"Number {number}. " + sentence * 4000)
    begun = source.start(description="by hand")
    assert begun["status"] == "STARTING"
    assert begun["description"] == "by hand"
    with pytest.raises(aws.agent.exceptions.ConflictException):
        source.start()
    which = {**source.ids, "ingestionJobId": begun["ingestionJobId"]}
    assert aws.agent.stop_ingestion_job(**which)["ingestionJob"]["status"] in {"STOPPING", "STOPPED"}
    assert source.ended(begun["ingestionJobId"])["status"] == "STOPPED"
    with pytest.raises(aws.agent.exceptions.ConflictException):
        aws.agent.stop_ingestion_job(**which)
    source.delete(*(f"{number}.txt" for number in range(1, 40)))
    job = source.ingest()
    assert list(found(source)) == ["0.txt"]
    summaries = aws.agent.list_ingestion_jobs(**source.ids)["ingestionJobSummaries"]
    assert [it["ingestionJobId"] for it in summaries] == [begun["ingestionJobId"], job["ingestionJobId"]]
    stopped = aws.agent.list_ingestion_jobs(
        **source.ids, filters=[{"attribute": "STATUS", "operator": "EQ", "values": ["STOPPED"]}]
    )["ingestionJobSummaries"]
    assert [it["ingestionJobId"] for it in stopped] == [begun["ingestionJobId"]]
    newest = aws.agent.list_ingestion_jobs(**source.ids, sortBy={"attribute": "STARTED_AT", "order": "DESCENDING"})
    assert newest["ingestionJobSummaries"][0]["ingestionJobId"] == job["ingestionJobId"]


def test_how_far_it_is_can_be_followed(base: Base, aws: Aws) -> None:
    source = base.filled({"one.txt": "One document."})
    job = source.ingest()
    answer = aws.agent.get_ingestion_job(**source.ids, ingestionJobId=job["ingestionJobId"])
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["x-craton-documents-done"], headers["x-craton-documents-total"]) == ("1", "1")


# --- chunking -----------------------------------------------------------------------------------------------------

PARAGRAPHS = [
    f"Chapter {number} tells of the {name}. "
    + " ".join([f"Fact {fact} about the {name} is worth {fact * 37 + number} words." for fact in range(12)])
    for number, name in enumerate(["anchor", "bellows", "compass", "drill", "engine", "furnace"], 1)
]
LONG = "\n\n".join(PARAGRAPHS)
STRATEGIES: dict[str, Json] = {
    "FIXED_SIZE": {"fixedSizeChunkingConfiguration": {"maxTokens": 120, "overlapPercentage": 20}},
    "HIERARCHICAL": {
        "hierarchicalChunkingConfiguration": {
            "levelConfigurations": [{"maxTokens": 300}, {"maxTokens": 60}],
            "overlapTokens": 10,
        }
    },
    "SEMANTIC": {
        "semanticChunkingConfiguration": {"maxTokens": 200, "bufferSize": 0, "breakpointPercentileThreshold": 90}
    },
    "NONE": {},
}


def test_every_strategy_cuts_the_whole_document_into_what_it_says(aws: Aws) -> None:
    base = aws.base()
    sizes: dict[str, list[int]] = {}
    for strategy, options in STRATEGIES.items():
        source = base.filled({f"{strategy}.txt": LONG}, {"chunkingStrategy": strategy, **options})
        described = aws.agent.get_data_source(**source.ids)["dataSource"]
        assert described["vectorIngestionConfiguration"]["chunkingConfiguration"] == {
            "chunkingStrategy": strategy,
            **options,
        }
        results = [
            result
            for result in base.retrieve("anchor bellows compass drill engine furnace", overrideSearchType="SEMANTIC")
            if result["metadata"]["x-amz-bedrock-kb-data-source-id"] == source.id
        ]
        spans = sorted(tuple(result["metadata"]["x-craton-span"]) for result in results)
        for result in results:
            start, end = result["metadata"]["x-craton-span"]
            assert result["content"]["text"] == LONG[start:end]
        covered = 0
        for start, end in spans:
            assert not LONG[covered:start].strip(), strategy
            covered = max(covered, end)
        assert not LONG[covered:].strip(), strategy
        sizes[strategy] = [end - start for start, end in spans]
    assert sizes["NONE"] == [len(LONG)]
    assert max(sizes["FIXED_SIZE"]) < max(sizes["HIERARCHICAL"]) < len(LONG)
    assert len(sizes["SEMANTIC"]) > 1


@pytest.mark.parametrize(
    "chunking",
    [
        {"chunkingStrategy": "FIXED_SIZE"},
        {
            "chunkingStrategy": "HIERARCHICAL",
            "hierarchicalChunkingConfiguration": {
                "levelConfigurations": [{"maxTokens": 60}, {"maxTokens": 300}],
                "overlapTokens": 10,
            },
        },
    ],
)
def test_chunking_that_makes_no_sense_is_refused(base: Base, aws: Aws, chunking: Json) -> None:
    with pytest.raises(aws.agent.exceptions.ValidationException):
        base.source({"type": "CUSTOM"}, chunking)


# --- documents that are handed in ------------------------------------------------------------------------------------


def custom(*names: str) -> list[Json]:
    return [{"dataSourceType": "CUSTOM", "custom": {"id": name}} for name in names]


def statuses(details: list[Json]) -> dict[str, str]:
    return {key_of(document): document["status"] for document in details}


@pytest.fixture(scope="module")
def direct(base: Base) -> Source:
    return base.source({"type": "CUSTOM"})


def test_documents_are_handed_in_looked_at_listed_and_deleted(direct: Source, aws: Aws) -> None:
    handed = direct.hand_in(
        inline("one", "The first document was handed in.", {"n": 1, "tags": ["a", "b"], "yes": True, "word": "w"}),
        inline("two", "The second document was handed in."),
        inline("three", "Only eve sees this.", access=[{"name": "eve", "type": "USER", "access": "ALLOW"}]),
    )
    assert set(statuses(handed).values()) <= {"PENDING", "IN_PROGRESS", "INDEXED"}
    assert set(direct.settled()) == {"one", "two", "three"}
    got = aws.agent.get_knowledge_base_documents(**direct.ids, documentIdentifiers=custom("two", "absent"))
    assert statuses(got["documentDetails"]) == {"two": "INDEXED", "absent": "NOT_FOUND"}
    pages = list(
        aws.agent.get_paginator("list_knowledge_base_documents").paginate(
            **direct.ids, PaginationConfig={"PageSize": 2}
        )
    )
    assert [len(page["documentDetails"]) for page in pages] == [2, 1]
    assert set(found(direct)) == {"one", "two"}
    both = {"andAll": [{"equals": {"key": "n", "value": 1}}, {"listContains": {"key": "tags", "value": "b"}}]}
    assert keys(direct.base.retrieve("handed in", filter=both)) == ["one"]
    assert "three" in keys(direct.base.retrieve("eve", user="eve"))

    direct.hand_in(inline("one", "The first document was replaced."))
    direct.settled()
    assert found(direct)["one"] == "The first document was replaced."
    assert direct.base.retrieve("handed in", filter=both) == []

    gone = aws.agent.delete_knowledge_base_documents(**direct.ids, documentIdentifiers=custom("one", "absent"))
    assert statuses(gone["documentDetails"]) == {"one": "DELETING", "absent": "NOT_FOUND"}
    assert set(found(direct)) == {"two"}
    wait_until(lambda: set(direct.documents()) == {"two", "three"}, 120)


def test_a_document_is_handed_in_by_its_address(direct: Source, aws: Aws) -> None:
    bucket = aws.bucket()
    aws.s3.put_object(Bucket=bucket, Key="a folder/page.html", Body=b"<html><body><p>Read from afar.</p></body></html>")
    uri = f"s3://{bucket}/a folder/page.html"
    direct.hand_in({"content": {"dataSourceType": "S3", "s3": {"s3Location": {"uri": uri}}}})
    direct.settled()
    which = [{"dataSourceType": "S3", "s3": {"uri": uri}}]
    (got,) = aws.agent.get_knowledge_base_documents(**direct.ids, documentIdentifiers=which)["documentDetails"]
    assert (got["status"], got["identifier"]) == ("INDEXED", which[0])
    (hit,) = [result for result in direct.base.retrieve("afar") if "afar" in result["content"]["text"]]
    assert hit["location"] == {"type": "S3", "s3Location": {"uri": uri}}
    absent = uri.replace("page", "absent")
    direct.hand_in({"content": {"dataSourceType": "S3", "s3": {"s3Location": {"uri": absent}}}})
    direct.settled()
    which = [{"dataSourceType": "S3", "s3": {"uri": absent}}]
    (got,) = aws.agent.get_knowledge_base_documents(**direct.ids, documentIdentifiers=which)["documentDetails"]
    assert got["status"] == "FAILED"
    assert got["statusReason"]


def test_bytes_are_handed_in_with_their_kind(direct: Source) -> None:
    table = b"name,height\nAlpha tower,31\nBeta tower,45\n"
    document = inline("table", "")
    document["content"]["custom"]["inlineContent"] = {
        "type": "BYTE",
        "byteContent": {"mimeType": "text/csv", "data": table},
    }
    direct.hand_in(document)
    assert direct.settled()["table"]["status"] == "INDEXED"
    assert "45" in found(direct, "tower")["table"]


def test_what_cannot_be_kept_is_refused(direct: Source, aws: Aws) -> None:
    elsewhere = inline("x", "text")
    elsewhere["metadata"] = {"type": "S3_LOCATION", "s3Location": {"uri": "s3://somewhere/else"}}
    by_address = {
        "content": {
            "dataSourceType": "CUSTOM",
            "custom": {
                "customDocumentIdentifier": {"id": "x"},
                "sourceType": "S3_LOCATION",
                "s3Location": {"uri": "s3://somewhere/else"},
            },
        }
    }
    for document in (elsewhere, by_address):
        code, status, message = told(lambda document=document: direct.hand_in(document))  # type: ignore[misc]
        assert (code, status) == ("ValidationException", 400)
        assert "not supported" in message
    assert told(lambda: direct.hand_in(inline("same", "one"), inline("same", "two")))[0] == "ValidationException"
    bucket = direct.base.s3_source(aws.bucket())
    assert told(lambda: bucket.hand_in(inline("x", "text")))[0] == "ValidationException"


# --- idempotency ---------------------------------------------------------------------------------------------------


def token(number: int, test: str) -> str:
    return f"{test}-{number}".ljust(40, "0")


def test_a_call_that_is_repeated_with_its_token_is_one_call(aws: Aws) -> None:
    base = aws.base()
    agent = aws.agent
    first = base.source({"type": "CUSTOM"}, name="twice", clientToken=token(1, base.id))
    again = base.source({"type": "CUSTOM"}, name="twice", clientToken=token(1, base.id))
    assert again.id == first.id
    with pytest.raises(agent.exceptions.ConflictException):
        base.source({"type": "CUSTOM"}, name="thrice", clientToken=token(1, base.id))
    with pytest.raises(agent.exceptions.ConflictException):
        base.source({"type": "CUSTOM"}, name="twice")  # the name is taken

    source = base.s3_source(aws.bucket())
    source.put("a.txt", "a text")
    job = source.start(clientToken=token(2, base.id))
    assert source.start(clientToken=token(2, base.id))["ingestionJobId"] == job["ingestionJobId"]
    source.ended(job["ingestionJobId"])
    assert source.start(clientToken=token(2, base.id))["status"] == "COMPLETE"
    code = told(lambda: source.start(clientToken=token(2, base.id), description="another"))[0]
    assert code == "ConflictException"

    first.hand_in(inline("one", "text"), clientToken=token(3, base.id))
    first.settled()
    updated = first.documents()["one"]["updatedAt"]
    first.hand_in(inline("one", "text"), clientToken=token(3, base.id))
    assert first.documents()["one"]["updatedAt"] == updated
    # This operation knows no ConflictException.
    code = told(lambda: first.hand_in(inline("one", "other"), clientToken=token(3, base.id)))[0]
    assert code == "ValidationException"


def test_the_command_line_shows_what_failed(aws: Aws, server: RunningServer) -> None:
    base = aws.base()
    source = base.filled({"good.txt": "A good document.", "empty.txt": b""})
    shown = json.loads(server.craton("kb", "documents", base.id, "--failed", "--json").stdout)
    assert "empty.txt" in json.dumps(shown)
    assert "good.txt" not in json.dumps(shown)
    assert source.documents()["empty.txt"]["statusReason"] == "An empty document is not supported."
