"""LangChain's retriever and reranker for Bedrock's knowledge bases."""

from __future__ import annotations

import asyncio

from checks import equal, holds, run
from filling import ECHO_ARN, fill, uri
from langchain_aws import AmazonKnowledgeBasesRetriever, BedrockRerank
from langchain_core.documents import Document

filled = fill()


def _search(**options: object) -> AmazonKnowledgeBasesRetriever:
    return AmazonKnowledgeBasesRetriever(
        knowledge_base_id=filled.base,
        retrieval_config={"vectorSearchConfiguration": {"numberOfResults": 2, **options}},
        min_score_confidence=None,
    )


def the_retriever_finds() -> None:
    found = _search().invoke("How long are backups kept?")
    equal(len(found), 2)
    equal(found[0].metadata["location"]["s3Location"]["uri"], uri(filled, "backups.md"))
    holds("thirty days" in found[0].page_content, found[0].page_content)
    equal(found[0].metadata["source_metadata"]["topic"], "backups")
    holds(isinstance(found[0].metadata["score"], float), "no score")


def the_retriever_filters() -> None:
    newer = {"andAll": [{"greaterThan": {"key": "year", "value": 2024}}, {"in": {"key": "topic", "value": ["travel"]}}]}
    found = _search(filter=newer, overrideSearchType="HYBRID").invoke("How long are backups kept?")
    equal([one.metadata["source_metadata"]["topic"] for one in found], ["travel"])


def the_retriever_without_configuration() -> None:
    found = AmazonKnowledgeBasesRetriever(knowledge_base_id=filled.base, min_score_confidence=None).invoke("a key")
    equal(len(found), 3)


def the_managed_search_configuration() -> None:
    found = AmazonKnowledgeBasesRetriever(
        knowledge_base_id=filled.base,
        retrieval_config={"managedSearchConfiguration": {"numberOfResults": 1}},
        min_score_confidence=None,
    ).invoke("How long are backups kept?")
    equal([one.metadata["source_metadata"]["topic"] for one in found], ["backups"])


def the_retriever_of_the_async_client() -> None:
    found = asyncio.run(_search().ainvoke("How long are backups kept?"))
    equal(found[0].metadata["source_metadata"]["topic"], "backups")


def rerank() -> None:
    texts = [
        "A key can be rotated at any time.",
        "Trips by train need no approval.",
        "Backups are kept for thirty days.",
    ]
    compressor = BedrockRerank(model_arn=ECHO_ARN, top_n=2)
    found = compressor.compress_documents([Document(text) for text in texts], "How long are backups kept?")
    equal(len(found), 2)
    equal(found[0].page_content, texts[2])
    holds(found[0].metadata["relevance_score"] >= found[1].metadata["relevance_score"], "not in order")


run(
    [
        the_retriever_finds,
        the_retriever_filters,
        the_retriever_without_configuration,
        the_managed_search_configuration,
        the_retriever_of_the_async_client,
        rerank,
    ]
)
