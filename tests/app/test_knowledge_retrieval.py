"""Retrieve through unmodified boto3, where words do not matter: echo embeds. Filters, pages, access lists."""

from __future__ import annotations

from typing import Any

import pytest

from tests.app.knowing import Aws, Base, Source, keys, told
from tests.servers import RunningServer

FILES = {
    "alpha.md": "# Alpha\n\nThe lighthouse at Alpha was lit in 1901.",
    "beta.md": "# Beta\n\nThe lighthouse at Beta was lit in 1915.",
    "gamma.txt": "Gamma has no lighthouse but a harbour with seven cranes.",
    "delta.txt": "Delta is a river and nothing was ever built there.",
    "plain.txt": "Nobody described this document about windmills.",
}
ATTRIBUTES: dict[str, dict[str, Any]] = {
    "alpha.md": {"year": 1901, "team": "core", "public": True, "tags": ["sea", "light"], "name": "alpha station"},
    "beta.md": {"year": 1915, "team": "web", "public": False, "tags": ["sea"], "name": "beta station"},
    "gamma.txt": {"year": 1950.5, "team": "core", "public": True, "tags": ["harbour"], "name": "gamma port"},
    "delta.txt": {
        "year": {"value": {"type": "NUMBER", "numberValue": -3}},
        "team": {"value": {"type": "STRING", "stringValue": "Core"}, "includeForEmbedding": True},
    },
}
ALL = set(FILES)


@pytest.fixture(scope="module")
def aws(server: RunningServer) -> Aws:
    return Aws(server)


@pytest.fixture(scope="module")
def source(aws: Aws) -> Source:
    source = aws.base().s3_source(aws.bucket())
    for key, body in FILES.items():
        source.put(key, body)
        if key in ATTRIBUTES:
            source.describe(key, ATTRIBUTES[key])
    job = source.ingest()
    assert job["statistics"] == {
        "numberOfDocumentsScanned": 5,
        "numberOfMetadataDocumentsScanned": 4,
        "numberOfNewDocumentsIndexed": 5,
        "numberOfModifiedDocumentsIndexed": 0,
        "numberOfMetadataDocumentsModified": 0,
        "numberOfDocumentsDeleted": 0,
        "numberOfDocumentsFailed": 0,
        "numberOfDocumentsSkipped": 0,
    }
    return source


@pytest.fixture(scope="module")
def base(source: Source) -> Base:
    return source.base


def one(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {operator: {"key": key, "value": value}}


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    (one("equals", "team", "core"), {"alpha.md", "gamma.txt"}),
    (one("equals", "public", True), {"alpha.md", "gamma.txt"}),
    (one("equals", "year", 1901), {"alpha.md"}),
    (one("equals", "year", "1901"), set()),
    (one("notEquals", "team", "core"), {"beta.md", "delta.txt", "plain.txt"}),
    (one("notEquals", "year", 1915), ALL - {"beta.md"}),
    (one("greaterThan", "year", 1901), {"beta.md", "gamma.txt"}),
    (one("greaterThanOrEquals", "year", 1901), {"alpha.md", "beta.md", "gamma.txt"}),
    (one("lessThan", "year", 1901), {"delta.txt"}),
    (one("lessThanOrEquals", "year", 1901), {"alpha.md", "delta.txt"}),
    (one("in", "team", ["web", "Core"]), {"beta.md", "delta.txt"}),
    (one("notIn", "team", ["web", "Core"]), {"alpha.md", "gamma.txt", "plain.txt"}),
    (one("startsWith", "name", "beta"), {"beta.md"}),
    (one("stringContains", "name", "station"), {"alpha.md", "beta.md"}),
    (one("stringContains", "tags", "arbo"), {"gamma.txt"}),
    (one("listContains", "tags", "sea"), {"alpha.md", "beta.md"}),
    (one("listContains", "tags", "se"), set()),
    (one("equals", "absent", "x"), set()),
    ({"andAll": [one("listContains", "tags", "sea"), one("equals", "public", True)]}, {"alpha.md"}),
    ({"orAll": [one("equals", "team", "web"), one("lessThan", "year", 0)]}, {"beta.md", "delta.txt"}),
    (
        {
            "andAll": [
                {"orAll": [one("equals", "team", "web"), one("equals", "team", "core")]},
                one("notEquals", "name", "gamma port"),
            ]
        },
        {"alpha.md", "beta.md"},
    ),
]


@pytest.mark.parametrize("mode", ["HYBRID", "SEMANTIC"])
def test_each_operator_lets_through_what_it_says(base: Base, mode: str) -> None:
    for given, expected in FILTERS:
        found = base.retrieve("lighthouse", filter=given, overrideSearchType=mode)
        assert set(keys(found)) == expected, given


def test_a_filter_that_makes_no_sense_is_refused(base: Base) -> None:
    nested: dict[str, Any] = one("equals", "team", "core")
    for given in (
        one("greaterThan", "year", "yesterday"),
        one("in", "team", "core"),
        one("startsWith", "name", 5),
        {"orAll": [nested] * 201},
    ):
        code, status, message = told(lambda given=given: base.retrieve("x", filter=given))  # type: ignore[misc]
        assert (code, status) == ("ValidationException", 400), given
        assert "filter" in message.lower()


def test_a_result_says_where_it_stands(base: Base, source: Source) -> None:
    best, *others = base.retrieve("When was the lighthouse at Beta lit?", filter=one("equals", "team", "web"))
    assert not others
    assert best["content"] == {"type": "TEXT", "text": FILES["beta.md"]}
    assert best["location"] == {"type": "S3", "s3Location": {"uri": f"s3://{source.bucket}/beta.md"}}
    assert 0 <= best["score"] <= 1
    metadata = best["metadata"]
    assert {name: metadata[name] for name in ATTRIBUTES["beta.md"]} == ATTRIBUTES["beta.md"]
    assert metadata["x-amz-bedrock-kb-source-uri"] == f"s3://{source.bucket}/beta.md"
    assert metadata["x-amz-bedrock-kb-data-source-id"] == source.id
    start, end = metadata["x-craton-span"]
    assert end - start == len(FILES["beta.md"])


def test_words_find_their_document_in_hybrid_search(base: Base) -> None:
    """echo's vectors know nothing of meaning: one of them may come first, but it is the words that put these beside
    it."""
    assert "plain.txt" in keys(base.retrieve("windmills", overrideSearchType="HYBRID"))[:2]
    assert "gamma.txt" in keys(base.retrieve("harbour cranes"))[:2]
    whole = FILES["delta.txt"]
    assert keys(base.retrieve(whole, overrideSearchType="SEMANTIC"))[0] == "delta.txt"


def test_results_come_in_pages_that_together_are_the_whole(base: Base, aws: Aws) -> None:
    whole = base.retrieve("lighthouse")
    assert len(whole) == len(FILES)
    assert base.retrieve("lighthouse", top=2) == whole[:2]
    paginator = aws.runtime.get_paginator("retrieve")
    pages = paginator.paginate(
        knowledgeBaseId=base.id,
        retrievalQuery={"text": "lighthouse"},
        retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": 2}},
    )
    sizes, results = [], []
    for page in pages:
        sizes.append(len(page["retrievalResults"]))
        results += page["retrievalResults"]
    assert sizes == [2, 2, 1]
    assert results == whole


def test_a_token_is_good_for_its_own_question_only(base: Base) -> None:
    token = base.page("lighthouse", top=2)["nextToken"]
    other = one("equals", "team", "core")
    for call in (
        lambda: base.page("windmill", top=2, token=token),
        lambda: base.page("lighthouse", top=2, token=token, filter=other),
        lambda: base.page("lighthouse", top=2, token="nonsense"),
    ):
        assert told(call)[:2] == ("ValidationException", 400)


def test_the_number_of_results_has_bounds(base: Base) -> None:
    assert (
        len(base.aws.runtime.retrieve(knowledgeBaseId=base.id, retrievalQuery={"text": "x"})["retrievalResults"]) == 5
    )
    for top in (101, 1000):
        assert told(lambda top=top: base.retrieve("x", top=top))[0] == "ValidationException"  # type: ignore[misc]


def test_what_cannot_be_done_is_refused_and_not_dropped(base: Base, aws: Aws) -> None:
    asked: dict[str, Any] = {"knowledgeBaseId": base.id, "retrievalQuery": {"text": "x"}}
    implicit = {"metadataAttributes": [{"key": "a", "type": "STRING", "description": "d"}], "modelArn": "echo"}
    image = {"type": "IMAGE", "image": {"format": "png", "inlineContent": b"\x89PNG"}}
    for call in (
        lambda: base.retrieve("x", implicitFilterConfiguration=implicit),
        lambda: aws.runtime.retrieve(
            **asked, guardrailConfiguration={"guardrailId": "abcdefgh", "guardrailVersion": "1"}
        ),
        lambda: aws.runtime.retrieve(knowledgeBaseId=base.id, retrievalQuery=image),
        lambda: aws.runtime.retrieve(knowledgeBaseId=base.id, retrievalQuery={}),
    ):
        assert told(call)[:2] == ("ValidationException", 400)


def test_a_base_is_named_by_its_arn_too(base: Base, aws: Aws) -> None:
    arn = aws.agent.get_knowledge_base(knowledgeBaseId=base.id)["knowledgeBase"]["knowledgeBaseArn"]
    assert Base(aws, arn).retrieve("lighthouse") == base.retrieve("lighthouse")
    foreign = arn.replace(arn.split(":")[4], "000000000000")
    assert told(lambda: Base(aws, foreign).retrieve("lighthouse"))[0] == "ResourceNotFoundException"


def test_absent_things_are_typed(base: Base, aws: Aws) -> None:
    absent = aws.runtime.exceptions.ResourceNotFoundException
    with pytest.raises(absent):
        Base(aws, "ABSENT1234").retrieve("x")
    with pytest.raises(absent):
        Base(aws, "ABSENT1234").ask("x", model="echo")
    with pytest.raises(absent):
        base.ask("x", model="nothing-of-this-name")
    with pytest.raises(absent):
        base.ask("x", model="echo", session="00000000-0000-0000-0000-000000000000")


# --- access lists -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(aws: Aws) -> Source:
    """Documents for everyone, for ann, for all but bob."""
    source = aws.base().s3_source(aws.bucket())
    for key in ("open.txt", "anns.txt", "notbob.txt"):
        source.put(key, f"The secret of {key} is a word.")
    source.describe("anns.txt", {}, [{"name": "ann", "type": "USER", "access": "ALLOW"}])
    source.describe("notbob.txt", {}, [{"name": "bob", "type": "USER", "access": "DENY"}])
    source.ingest()
    return source


@pytest.mark.parametrize(
    ("user", "seen"),
    [
        ("", {"open.txt", "notbob.txt"}),
        ("ann", {"open.txt", "anns.txt", "notbob.txt"}),
        ("bob", {"open.txt"}),
        ("Ann", {"open.txt", "notbob.txt"}),
    ],
)
def test_a_user_sees_what_the_access_lists_admit(guarded: Source, user: str, seen: set[str]) -> None:
    for mode in ("HYBRID", "SEMANTIC"):
        assert set(keys(guarded.base.retrieve("secret", user=user, overrideSearchType=mode))) == seen
    answer = guarded.base.ask("What is the secret?", model="echo", user=user)
    cited = [reference for citation in answer["citations"] for reference in citation["retrievedReferences"]]
    assert set(keys(cited)) <= seen


def test_a_documents_access_list_can_be_looked_at_and_checked(guarded: Source, aws: Aws) -> None:
    found = {key: result for result in guarded.base.retrieve("secret", user="ann") for key in keys([result])}
    which = {**guarded.ids, "documentId": found["anns.txt"]["documentId"]}
    assert "ann" in str(aws.runtime.get_ingested_document_acl(**which)["documentAcl"])
    checks = {
        user: aws.runtime.check_ingested_document_acl(**which, userContext={"userId": user}) for user in ("ann", "bob")
    }
    assert {
        user: [value for value in answer.values() if isinstance(value, bool)] for user, answer in checks.items()
    } == {
        "ann": [True],
        "bob": [False],
    }


def test_a_session_is_its_users_own(guarded: Source) -> None:
    session = guarded.base.ask("What is the secret?", model="echo", user="ann")["sessionId"]
    assert guarded.base.ask("And again?", model="echo", user="ann", session=session)["sessionId"] == session
    for user in ("bob", ""):
        code = told(lambda user=user: guarded.base.ask("And?", model="echo", user=user, session=session))[0]  # type: ignore[misc]
        assert code == "ResourceNotFoundException"
