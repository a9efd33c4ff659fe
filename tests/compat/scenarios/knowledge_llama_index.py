"""LlamaIndex's retriever and reranker for Bedrock's knowledge bases."""

from __future__ import annotations

import asyncio

from checks import equal, holds, run
from filling import ECHO_ARN, fill, uri
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.bedrock_rerank import BedrockRerank
from llama_index.retrievers.bedrock import AmazonKnowledgeBasesRetriever

filled = fill()
QUESTION = "How long are backups kept?"


def _search(**options: object) -> AmazonKnowledgeBasesRetriever:
    return AmazonKnowledgeBasesRetriever(
        knowledge_base_id=filled.base,
        retrieval_config={"vectorSearchConfiguration": {"numberOfResults": 2, **options}},
    )


def the_retriever_finds() -> None:
    found = _search().retrieve(QUESTION)
    equal(len(found), 2)
    equal(found[0].metadata["location"]["s3Location"]["uri"], uri(filled, "backups.md"))
    equal(found[0].metadata["sourceMetadata"]["year"], 2026)
    holds(found[0].score >= found[1].score, "not in order")


def the_retriever_filters() -> None:
    found = _search(overrideSearchType="SEMANTIC", filter={"equals": {"key": "topic", "value": "keys"}}).retrieve(
        QUESTION
    )
    equal([one.metadata["sourceMetadata"]["topic"] for one in found], ["keys"])


def the_retriever_of_the_async_client() -> None:
    found = asyncio.run(_search().aretrieve(QUESTION))
    equal(found[0].metadata["sourceMetadata"]["topic"], "backups")


def rerank() -> None:
    texts = [
        "A key can be rotated at any time.",
        "Trips by train need no approval.",
        "Backups are kept for thirty days.",
    ]
    nodes = [NodeWithScore(node=TextNode(text=text), score=0.1) for text in texts]
    found = BedrockRerank(top_n=2, rerank_model_arn=ECHO_ARN).postprocess_nodes(nodes, query_str=QUESTION)
    equal([len(found), found[0].node.get_content()], [2, texts[2]])


run([the_retriever_finds, the_retriever_filters, the_retriever_of_the_async_client, rerank])
