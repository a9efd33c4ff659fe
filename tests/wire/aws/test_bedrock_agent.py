"""Requests of bedrock-agent and its runtime, read into the platform's words; and refused where it has none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from craton.core.errors import InvalidRequest, TooLarge, Unsupported
from craton.core.knowledge import (
    AllOf,
    Chunking,
    Citation,
    Compare,
    Filter,
    Location,
    Passage,
    Reference,
    SourceSpec,
)
from craton.data.sources.options import BucketOptions, WebOptions, read_options
from craton.wire.aws.bedrock_agent.data_sources import read_chunking, read_data_source, read_source
from craton.wire.aws.bedrock_agent.knowledge_bases import read_knowledge_base
from craton.wire.aws.bedrock_agent_runtime.filters import MAX_COMPARISONS, read_filter
from craton.wire.aws.bedrock_agent_runtime.generation import read_ask, write_citation
from craton.wire.aws.bedrock_agent_runtime.passages import write_content, write_location
from craton.wire.aws.bedrock_agent_runtime.retrieval import read_retrieval

ROLE = "arn:aws:iam::123456789012:role/x"


@given(
    url=st.sampled_from(["https://example.com", "http://example.com/docs?x=1"]),
    crawler=st.fixed_dictionaries(
        {},
        optional={
            "crawlerLimits": st.fixed_dictionaries(
                {}, optional={"rateLimit": st.integers(1, 300), "maxPages": st.integers(1, 25_000)}
            ),
            "scope": st.sampled_from(["HOST_ONLY", "SUBDOMAINS"]),
            "inclusionFilters": st.lists(st.just(".*docs.*"), min_size=1, max_size=25),
            "exclusionFilters": st.lists(st.just(r"\.zip$"), min_size=1, max_size=25),
            "userAgent": st.just("a-crawler-of-mine"),
        },
    ),
)
def test_whatever_a_web_source_says_is_an_option_of_the_crawler(url: str, crawler: dict[str, Any]) -> None:
    web = {
        "sourceConfiguration": {"urlConfiguration": {"seedUrls": [{"url": url}]}},
        "crawlerConfiguration": crawler,
    }
    spec = read_source({"type": "WEB", "webConfiguration": web})
    assert spec.kind == "web"
    options = read_options(spec.options, WebOptions)
    limits = crawler.get("crawlerLimits", {})
    assert options.seeds == (url,)
    assert options.rate == limits.get("rateLimit", WebOptions((url,)).rate)
    assert options.max_pages == limits.get("maxPages", WebOptions((url,)).max_pages)
    assert options.scope == crawler.get("scope", "default").lower()


def test_a_buckets_options_are_those_of_its_source() -> None:
    s3 = {"bucketArn": "arn:aws:s3:::docs", "inclusionPrefixes": ["a/"]}
    spec = read_source({"type": "S3", "s3Configuration": s3})
    assert read_options(spec.options, BucketOptions) == BucketOptions("docs", ("a/",))
    assert read_source({"type": "CUSTOM"}) == SourceSpec("direct")


@pytest.mark.parametrize("kind", ["CONFLUENCE", "SALESFORCE", "SHAREPOINT", "REDSHIFT_METADATA"])
def test_a_source_of_another_company_is_refused(kind: str) -> None:
    with pytest.raises(Unsupported):
        read_source({"type": kind})


@pytest.mark.parametrize(
    ("configuration", "read"),
    [
        (None, Chunking()),
        ({"chunkingStrategy": "NONE"}, Chunking("none")),
        (
            {
                "chunkingStrategy": "FIXED_SIZE",
                "fixedSizeChunkingConfiguration": {"maxTokens": 100, "overlapPercentage": 5},
            },
            Chunking("fixed", max_tokens=100, overlap_percent=5),
        ),
        (
            {
                "chunkingStrategy": "HIERARCHICAL",
                "hierarchicalChunkingConfiguration": {
                    "levelConfigurations": [{"maxTokens": 900}, {"maxTokens": 90}],
                    "overlapTokens": 90,
                },
            },
            Chunking("hierarchical", parent_tokens=900, max_tokens=90, overlap_tokens=89),
        ),
        (
            {
                "chunkingStrategy": "SEMANTIC",
                "semanticChunkingConfiguration": {
                    "maxTokens": 200,
                    "bufferSize": 0,
                    "breakpointPercentileThreshold": 80,
                },
            },
            Chunking("semantic", max_tokens=200, buffer=0, percentile=80),
        ),
    ],
)
def test_every_chunking_strategy_is_read(configuration: dict[str, Any] | None, read: Chunking) -> None:
    assert read_chunking(configuration) == read


def test_what_ingestion_cannot_do_is_refused_and_not_dropped() -> None:
    for member in ("customTransformationConfiguration", "parsingConfiguration", "contextEnrichmentConfiguration"):
        with pytest.raises(Unsupported, match=member):
            read_data_source(
                {
                    "name": "x",
                    "dataSourceConfiguration": {"type": "CUSTOM"},
                    "vectorIngestionConfiguration": {member: {"some": "thing"}},
                }
            )


def test_what_a_base_cannot_do_is_refused_and_not_dropped() -> None:
    def asked(**configuration: Any) -> dict[str, Any]:
        vector = {"embeddingModelArn": "arn:aws:bedrock:us-east-1::foundation-model/echo", **configuration}
        return {
            "name": "x",
            "roleArn": ROLE,
            "knowledgeBaseConfiguration": {"type": "VECTOR", "vectorKnowledgeBaseConfiguration": vector},
        }

    assert read_knowledge_base(asked()).embedder == "echo"
    binary = {"bedrockEmbeddingModelConfiguration": {"embeddingDataType": "BINARY"}}
    with pytest.raises(Unsupported, match="BINARY"):
        read_knowledge_base(asked(embeddingModelConfiguration=binary))
    with pytest.raises(Unsupported):
        read_knowledge_base(asked(supplementalDataStorageConfiguration={"storageLocations": [{}]}))
    with pytest.raises(Unsupported, match="KENDRA"):
        read_knowledge_base({"name": "x", "roleArn": ROLE, "knowledgeBaseConfiguration": {"type": "KENDRA"}})


scalars = st.one_of(st.booleans(), st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False, width=32))
compares = st.one_of(
    st.builds(Compare, st.sampled_from(["equals", "notEquals"]), st.text(min_size=1, max_size=5), scalars),
    st.builds(
        Compare,
        st.sampled_from(["greaterThan", "lessThanOrEquals"]),
        st.text(min_size=1, max_size=5),
        st.floats(allow_nan=False, allow_infinity=False, width=32),
    ),
    st.builds(
        Compare, st.sampled_from(["startsWith", "stringContains", "listContains"]), st.text(min_size=1), st.text()
    ),
    st.builds(Compare, st.sampled_from(["in", "notIn"]), st.text(min_size=1), st.lists(scalars, max_size=4).map(tuple)),
)
filters = st.recursive(
    compares, lambda inner: st.builds(AllOf, st.lists(inner, min_size=2, max_size=3).map(tuple)), max_leaves=8
)


def written(read: Filter) -> dict[str, Any]:
    """As a client sends it."""
    if isinstance(read, Compare):
        value = list(read.value) if isinstance(read.value, tuple) else read.value
        return {read.operator: {"key": read.key, "value": value}}
    return {"andAll" if isinstance(read, AllOf) else "orAll": [written(each) for each in read.filters]}


@given(filters)
def test_every_filter_is_read_as_it_was_meant(given_: Filter) -> None:
    assert read_filter(written(given_)) == given_


def test_a_filter_has_bounds() -> None:
    one = {"equals": {"key": "a", "value": 1}}
    assert read_filter({"orAll": [one] * (MAX_COMPARISONS - 1)}) is not None
    with pytest.raises(TooLarge):
        read_filter({"orAll": [one] * MAX_COMPARISONS})
    for bad in (
        {},
        {"equals": {"key": "a"}},
        {"like": {"key": "a", "value": 1}},
        {**one, "in": {"key": "a", "value": []}},
    ):
        with pytest.raises(InvalidRequest):
            read_filter(bad)


def test_a_retrieval_without_any_configuration_has_bedrocks_defaults() -> None:
    asked = read_retrieval("BASE123456", {}, query="x")
    assert (asked.top, asked.mode, asked.filter, asked.reranking) == (5, None, None, None)


def test_a_question_needs_to_say_where_the_answer_may_come_from() -> None:
    for configuration in (None, {"type": "KNOWLEDGE_BASE"}, {"type": "EXTERNAL_SOURCES"}):
        value: dict[str, Any] = {"input": {"text": "x"}}
        if configuration is not None:
            value["retrieveAndGenerateConfiguration"] = configuration
        with pytest.raises(InvalidRequest):
            read_ask(value)


PASSAGE = Passage("d" * 32, 7, "The harbour has seven cranes.", Location("bucket", "s3://docs/a.txt"), 0.5)


def test_the_span_of_a_citation_includes_its_end() -> None:
    citation = Citation("seven", 10, 15, (Reference(PASSAGE, 16, 21),))
    sent = write_citation(citation, "extractive")
    assert sent["generatedResponsePart"]["textResponsePart"] == {"text": "seven", "span": {"start": 10, "end": 14}}
    (reference,) = sent["retrievedReferences"]
    assert reference["metadata"]["x-craton-quote"] == [16, 21]
    assert reference["metadata"]["x-craton-answer"] == "extractive"


def test_places_of_every_kind_have_a_location() -> None:
    def place(kind: Any, uri: str) -> dict[str, Any]:
        return write_location(Passage("d", 1, "t", Location(kind, uri), 0.0))

    assert place("bucket", "s3://b/k") == {"type": "S3", "s3Location": {"uri": "s3://b/k"}}
    assert place("direct", "s3://b/k") == {"type": "S3", "s3Location": {"uri": "s3://b/k"}}
    assert place("web", "https://x.y/") == {"type": "WEB", "webLocation": {"url": "https://x.y/"}}
    assert place("direct", "my-id") == {"type": "CUSTOM", "customDocumentLocation": {"id": "my-id"}}
    row = Passage("", 0, "", Location("sql", "db"), 1.0, row={"n": 1, "b": True, "x": None}, query="SELECT 1")
    assert write_location(row) == {"type": "SQL", "sqlLocation": {"query": "SELECT 1"}}
    kinds = [column["type"] for column in write_content(row)["row"]]
    assert kinds == ["LONG", "BOOLEAN", "NULL"]
