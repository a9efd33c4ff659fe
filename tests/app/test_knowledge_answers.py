"""RetrieveAndGenerate, its stream and Rerank through unmodified boto3, with the starter models: words matter here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.app.knowing import ECHO, MINILM, SMOLLM, Aws, Base, Json, fold, keys, told
from tests.servers import RunningServer

NO_ANSWER = "The sources do not hold an answer to this question."
FILES = {
    "keys.md": "# Keys\n\nEvery program gets a key of its own. A key can be rotated at any time: make a new one, give "
    "it to the program, and revoke the old one. Keys expire after ninety days unless they are made with a longer life.",
    "backups.md": "# Backups\n\nThe database is backed up every night at two. Backups are kept for thirty days.",
    "lamps.md": "# Lamps\n\nThe lamp of the Alpha lighthouse was lit by Ruth Carver in 1901. It burned whale oil.",
}


@pytest.fixture(scope="module")
def aws(model_server: RunningServer) -> Aws:
    return Aws(model_server)


@pytest.fixture(scope="module")
def base(aws: Aws) -> Base:
    base = aws.base(MINILM)
    base.filled(FILES)
    return base


def references(answer: Json) -> list[Json]:
    return [reference for citation in answer["citations"] for reference in citation["retrievedReferences"]]


def check_citations(text: str, citations: list[Json]) -> None:
    """Every span of the answer is the text that it says, and every quote stands in its source."""
    assert citations
    for citation in citations:
        part = citation["generatedResponsePart"]["textResponsePart"]
        span = part["span"]
        assert text[span["start"] : span["end"] + 1] == part["text"]
        for reference in citation["retrievedReferences"]:
            start, end = reference["metadata"]["x-craton-quote"]
            assert reference["content"]["text"][start:end]


def test_meaning_finds_what_words_do_not(base: Base) -> None:
    for question, key in (
        ("How long do you hold on to copies of the data?", "backups.md"),
        ("How can I replace a credential?", "keys.md"),
        ("Who switched on the beacon?", "lamps.md"),
    ):
        assert keys(base.retrieve(question, top=1)) == [key]
        assert keys(base.retrieve(question, top=1, overrideSearchType="SEMANTIC")) == [key]


def test_an_answer_quotes_its_sources(base: Base) -> None:
    """The starter model is below the bar, so what stands in the answer stands in a document, word for word."""
    answer = base.ask("How long are backups kept?")
    text = answer["output"]["text"]
    assert "thirty days" in text
    assert answer["guardrailAction"] == "NONE"
    check_citations(text, answer["citations"])
    cited = references(answer)
    assert keys(cited)[0] == "backups.md"
    for citation in answer["citations"]:
        part = citation["generatedResponsePart"]["textResponsePart"]["text"]
        (reference,) = citation["retrievedReferences"]
        start, end = reference["metadata"]["x-craton-quote"]
        assert reference["content"]["text"][start:end] == part
        assert reference["metadata"]["x-craton-answer"] == "extractive"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-answer"] == "extractive"


def test_what_the_sources_do_not_hold_is_not_answered(base: Base) -> None:
    answer = base.ask("What is the boiling point of tungsten?")
    assert answer["output"]["text"] == NO_ANSWER
    assert answer["citations"] == []
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-answer"] == "abstained"


@pytest.mark.parametrize("question", ["How long are backups kept?", "Who lit the lamp?", "What is tungsten?"])
def test_the_stream_adds_up_to_the_whole_answer(base: Base, aws: Aws, question: str) -> None:
    whole = base.ask(question)
    streamed = aws.runtime.retrieve_and_generate_stream(**base.question(question))
    assert streamed["sessionId"] != whole["sessionId"]
    folded = fold(streamed["stream"])
    assert folded == {"text": whole["output"]["text"], "citations": whole["citations"]}


def test_a_session_carries_the_subject_on(base: Base, aws: Aws) -> None:
    follow_up = "And when are they made?"
    assert base.ask(follow_up)["output"]["text"] == NO_ANSWER  # alone it asks for nothing
    first = base.ask("How long are backups kept?")
    second = base.ask(follow_up, session=first["sessionId"])
    assert second["sessionId"] == first["sessionId"]
    assert keys(references(second))[0] == "backups.md"
    stream = aws.runtime.retrieve_and_generate_stream(**base.question("And they?", session=first["sessionId"]))
    assert stream["sessionId"] == first["sessionId"]
    assert "ackups" in fold(stream["stream"])["text"]


def test_a_filter_narrows_what_an_answer_may_rest_on(base: Base) -> None:
    nothing = {"vectorSearchConfiguration": {"filter": {"equals": {"key": "absent", "value": "x"}}}}
    answer = base.ask("How long are backups kept?", retrievalConfiguration=nothing)
    assert answer["output"]["text"] == NO_ANSWER


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("trip.txt", "text/plain", b"The ferry leaves at seven. The crossing takes four hours."),
        ("trip.html", "text/html", b"<html><body><p>The ferry leaves at seven.</p><p>It is slow.</p></body></html>"),
    ],
)  # fmt: skip
def test_a_document_that_comes_with_the_question_is_answered_from(aws: Aws, name: str, kind: str, data: bytes) -> None:
    content = {"identifier": name, "contentType": kind, "data": data}
    answer = aws.runtime.retrieve_and_generate(
        input={"text": "When does the ferry leave?"},
        retrieveAndGenerateConfiguration={
            "type": "EXTERNAL_SOURCES",
            "externalSourcesConfiguration": {
                "modelArn": SMOLLM,
                "sources": [{"sourceType": "BYTE_CONTENT", "byteContent": content}],
            },
        },
    )
    assert "at seven" in answer["output"]["text"]
    assert keys(references(answer)) == [name]


def test_an_external_document_that_cannot_be_read_fails_the_question(aws: Aws) -> None:
    content = {"identifier": "x.pdf", "contentType": "application/pdf", "data": b"%PDF-1.4 nothing"}
    asked = {
        "input": {"text": "When?"},
        "retrieveAndGenerateConfiguration": {
            "type": "EXTERNAL_SOURCES",
            "externalSourcesConfiguration": {
                "modelArn": SMOLLM,
                "sources": [{"sourceType": "BYTE_CONTENT", "byteContent": content}],
            },
        },
    }
    assert told(lambda: aws.runtime.retrieve_and_generate(**asked))[:2] == ("ValidationException", 400)


def test_a_prompt_template_needs_a_place_for_the_sources(base: Base) -> None:
    template = {"promptTemplate": {"textPromptTemplate": "Just say hello."}}
    code = told(lambda: base.ask("How long?", generationConfiguration=template))
    assert code[0] == "ValidationException"
    assert "$search_results$" in code[2]


def test_what_cannot_be_done_is_refused_and_not_dropped(base: Base, aws: Aws) -> None:
    guardrail = {"guardrailConfiguration": {"guardrailId": "abcdefgh", "guardrailVersion": "1"}}
    extra = {"additionalModelRequestFields": {"top_k": 5}}
    for options in (guardrail, extra):
        code = told(lambda options=options: base.ask("How long?", generationConfiguration=options))  # type: ignore[misc]
        assert code[0] == "ValidationException"
        assert "not supported" in code[2]
    question = base.question("How long?") | {"sessionConfiguration": {"kmsKeyArn": "arn:aws:kms:x:123456789012:key/k"}}
    assert told(lambda: aws.runtime.retrieve_and_generate(**question))[0] == "ValidationException"
    assert told(lambda: base.ask("How long?", model=MINILM))[0] == "ValidationException"  # it does not write


# --- reranking -----------------------------------------------------------------------------------------------------


def rerank(aws: Aws, model: str, texts: list[Any], **options: Any) -> list[Json]:
    sources = [
        {
            "type": "INLINE",
            "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": text}}
            if isinstance(text, str)
            else {"type": "JSON", "jsonDocument": text},
        }
        for text in texts
    ]
    answer = aws.runtime.rerank(
        queries=[{"type": "TEXT", "textQuery": {"text": "How long are backups kept?"}}],
        sources=sources,
        rerankingConfiguration={
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": model}, **options},
        },
    )
    results: list[Json] = answer["results"]
    return results


def test_texts_are_reranked_by_a_real_scorer(aws: Aws) -> None:
    texts = [
        "A lamp burned oil.",
        {"note": "We keep the copies for a month."},
        "Backups are kept for thirty days.",
    ]
    results = rerank(aws, MINILM, texts)
    assert [result["index"] for result in results] == [2, 1, 0]
    scores = [result["relevanceScore"] for result in results]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert [result["index"] for result in rerank(aws, MINILM, texts, numberOfResults=1)] == [2]
    assert told(lambda: rerank(aws, SMOLLM, texts))[0] == "ValidationException"
    assert told(lambda: rerank(aws, ECHO.replace("echo", "absent"), texts))[0] == "ResourceNotFoundException"


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_texts_are_reranked_where_other_servers_rerank_them(aws: Aws, path: str) -> None:
    texts = ["A lamp burned oil.", "We keep the copies for a month.", "Backups are kept for thirty days."]
    asked = {"model": "all-minilm-l6-v2", "query": "How long are backups kept?", "documents": texts}
    with aws.server.client() as client:
        answer = client.post(path, json=asked).raise_for_status().json()
        assert answer["model"] == "all-minilm-l6-v2"
        assert answer["id"]
        known = rerank(aws, MINILM, texts)
        assert [one["index"] for one in answer["results"]] == [one["index"] for one in known]
        assert [one["relevance_score"] for one in answer["results"]] == [
            pytest.approx(one["relevanceScore"], abs=1e-5) for one in known
        ]
        assert [one["document"]["text"] for one in answer["results"]] == [texts[one["index"]] for one in known]
        first = {**asked, "documents": [{"text": text} for text in texts], "top_n": 1, "return_documents": False}
        assert client.post(path, json=first).json()["results"] == [
            {"index": 2, "relevance_score": pytest.approx(known[0]["relevanceScore"], abs=1e-5)}
        ]
        for wrong, status, said in (
            ({"model": "absent"}, 404, "absent"),
            ({"model": "smollm2-135m-instruct"}, 400, "Reranking"),
            ({"query": " "}, 400, "query"),
            ({"top_n": 0}, 400, "top_n"),
            ({"documents": [{"title": "x"}]}, 400, "documents[0]"),
            ({"max_tokens_per_doc": 5}, 400, "max_tokens_per_doc"),
        ):
            refused = client.post(path, json=asked | wrong)
            assert refused.status_code == status, refused.text
            assert said in refused.json()["error"]["message"]


def test_retrieval_can_be_reranked(base: Base) -> None:
    reranking = {
        "type": "BEDROCK_RERANKING_MODEL",
        "bedrockRerankingConfiguration": {
            "modelConfiguration": {"modelArn": MINILM},
            "numberOfRerankedResults": 2,
        },
    }
    results = base.retrieve("How long are backups kept?", rerankingConfiguration=reranking)
    assert len(results) == 2
    assert keys(results)[0] == "backups.md"


# --- what is left behind, and what is not ------------------------------------------------------------------------


def test_an_answer_can_be_traced(base: Base, aws: Aws) -> None:
    answer = base.ask("How long are backups kept?")
    request = answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    shown = json.loads(aws.server.craton("trace", request, "--json").stdout)
    assert "backups.md" in json.dumps(shown)


HEAVY = ("tokenizers", "lxml", "qdrant_edge", "openvino", "xllamacpp", "pypdfium2")


def test_the_server_loads_nothing_heavy_to_retrieve_and_to_answer(base: Base, model_server: RunningServer) -> None:
    """By the libraries that its process has mapped: each of these brings one."""
    base.retrieve("How long are backups kept?")
    base.ask("How long are backups kept?")
    with open(f"/proc/{model_server.pid}/maps") as maps:
        mapped = {line.split(maxsplit=5)[5].strip() for line in maps if line.count(" ") >= 5 and ".so" in line}
    assert any("uvloop" in path for path in mapped)  # the look works
    assert [path for path in mapped for name in HEAVY if f"/{name}" in path] == []
