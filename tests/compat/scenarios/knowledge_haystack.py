"""Haystack's components for Bedrock's knowledge bases, reranking and S3."""

from __future__ import annotations

import os
import tempfile

from checks import equal, holds, run
from filling import fill, uri
from haystack import Document
from haystack_integrations.components.downloaders.s3 import S3Downloader
from haystack_integrations.components.rankers.amazon_bedrock import AmazonBedrockRanker
from haystack_integrations.components.retrievers.amazon_bedrock import AmazonBedrockKnowledgeBaseRetriever

filled = fill()
QUESTION = "How long are backups kept?"


def _search(agentic: bool) -> list[Document]:
    retriever = AmazonBedrockKnowledgeBaseRetriever(
        knowledge_base_id=filled.base, number_of_results=2, use_agentic_retrieval=agentic
    )
    found: list[Document] = retriever.run(query=QUESTION)["documents"]
    return found


def the_retriever_finds() -> None:
    found = _search(agentic=False)
    equal(len(found), 2)
    equal(found[0].meta["source"], uri(filled, "backups.md"))
    holds("thirty days" in found[0].content, found[0].content)


def agentic_retrieval_is_refused_and_the_retriever_falls_back() -> None:
    equal([one.meta["source"] for one in _search(agentic=True)], [one.meta["source"] for one in _search(agentic=False)])


def the_ranker() -> None:
    texts = [
        "A key can be rotated at any time.",
        "Trips by train need no approval.",
        "Backups are kept for thirty days.",
    ]
    found = AmazonBedrockRanker(model="echo", top_k=2).run(
        query=QUESTION, documents=[Document(content=text) for text in texts]
    )["documents"]
    equal([len(found), found[0].content], [2, texts[2]])


def the_downloader_from_s3() -> None:
    os.environ["S3_DOWNLOADER_BUCKET"] = filled.bucket
    with tempfile.TemporaryDirectory() as folder:
        downloader = S3Downloader(file_root_path=folder)
        downloader.warm_up()
        (one,) = downloader.run(documents=[Document(meta={"file_name": "backups.md"})])["documents"]
        with open(one.meta["file_path"]) as file:
            holds("thirty days" in file.read(), "other bytes came")


run(
    [
        the_retriever_finds,
        agentic_retrieval_is_refused_and_the_retriever_falls_back,
        the_ranker,
        the_downloader_from_s3,
    ]
)
