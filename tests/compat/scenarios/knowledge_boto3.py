"""What a script does with boto3 around knowledge bases: S3, the services beside, bedrock-agent and its runtime."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from checks import Absent, equal, holds, need, raises, run
from filling import DOCUMENTS, ECHO_ARN, ROLE_ARN, connect, fill, ingest, new_base, new_bucket, new_source, uri

s3, agent, runtime = connect("s3"), connect("bedrock-agent"), connect("bedrock-agent-runtime")
filled = fill()
QUESTION = "How long are backups kept?"
MEGABYTE = 2**20
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


def _retrieve(**search: Any) -> list[str]:
    found = runtime.retrieve(
        knowledgeBaseId=filled.base,
        retrievalQuery={"text": QUESTION},
        retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": 3, **search}},
    )["retrievalResults"]
    return [one["location"]["s3Location"]["uri"].rpartition("/")[2] for one in found]


def _ask(**options: Any) -> dict[str, Any]:
    return {
        "input": {"text": QUESTION},
        "retrieveAndGenerateConfiguration": {
            "type": "KNOWLEDGE_BASE",
            "knowledgeBaseConfiguration": {"knowledgeBaseId": filled.base, "modelArn": ECHO_ARN, **options},
        },
    }


def _member(client: Any, shape: str, name: str) -> None:
    """Raises Absent where this generation's model has no such member."""
    if name not in client.meta.service_model.shape_for(shape).members:
        raise Absent(f"this generation has no {name}")


# --- buckets ------------------------------------------------------------------------------------------------------


def files_are_uploaded_and_downloaded() -> None:
    bucket, data = new_bucket(s3), os.urandom(12 * MEGABYTE)
    with tempfile.TemporaryDirectory() as folder:
        sent, got = Path(folder) / "sent", Path(folder) / "got"
        sent.write_bytes(data)
        s3.upload_file(str(sent), bucket, "big", Config=TransferConfig(multipart_threshold=5 * MEGABYTE))
        s3.download_file(bucket, "big", str(got))
        holds(got.read_bytes() == data, "other bytes came back")
    holds("-" in s3.head_object(Bucket=bucket, Key="big")["ETag"], "it was not sent in parts")


def objects_are_listed_in_pages_and_deleted() -> None:
    bucket = new_bucket(s3)
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"a/{number}", Body=b"x")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    equal([one["Key"] for page in pages for one in page["Contents"]], [f"a/{number}" for number in range(5)])
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": f"a/{number}"} for number in range(5)]})
    s3.delete_bucket(Bucket=bucket)


def an_absent_object_has_its_typed_exception() -> None:
    with raises(s3.exceptions.NoSuchKey, 404):
        s3.get_object(Bucket=filled.bucket, Key="absent")
    with raises(s3.exceptions.NoSuchBucket, 404):
        s3.list_objects_v2(Bucket="no-such-bucket")


# --- the services beside --------------------------------------------------------------------------------------------


def roles_and_collections_are_kept() -> None:
    iam, aoss, name = connect("iam"), connect("opensearchserverless"), f"c{uuid.uuid4().hex[:12]}"
    equal(len(connect("sts").get_caller_identity()["Account"]), 12)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    policy = iam.create_policy(PolicyName=name, PolicyDocument=TRUST)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    aoss.create_security_policy(name=name, type="encryption", policy=TRUST)
    aoss.create_access_policy(name=name, type="data", policy="[]")
    made = aoss.create_collection(name=name, type="VECTORSEARCH")["createCollectionDetail"]
    equal(aoss.batch_get_collection(names=[name])["collectionDetails"][0]["status"], "ACTIVE")
    aoss.delete_collection(id=made["id"])
    aoss.delete_access_policy(name=name, type="data")
    aoss.delete_security_policy(name=name, type="encryption")
    iam.detach_role_policy(RoleName=name, PolicyArn=policy)
    iam.delete_policy(PolicyArn=policy)
    iam.delete_role(RoleName=name)


# --- bedrock-agent --------------------------------------------------------------------------------------------------


def a_base_is_made_listed_and_deleted() -> None:
    base = new_base(agent)
    found = agent.get_knowledge_base(knowledgeBaseId=base)["knowledgeBase"]
    equal((found["status"], found["roleArn"], found["storageConfiguration"]["type"]),
          ("ACTIVE", ROLE_ARN, "OPENSEARCH_SERVERLESS"))  # fmt: skip
    pages = agent.get_paginator("list_knowledge_bases").paginate(PaginationConfig={"PageSize": 1})
    listed = {one["knowledgeBaseId"] for page in pages for one in page["knowledgeBaseSummaries"]}
    holds({base, filled.base} <= listed, f"{base} is not in {listed}")
    agent.delete_knowledge_base(knowledgeBaseId=base)
    with raises(agent.exceptions.ResourceNotFoundException, 404):
        agent.get_data_source(knowledgeBaseId=base, dataSourceId="ABCDEFGHIJ")


def _ingest_with(chunking: Any) -> None:
    bucket, base = new_bucket(s3), new_base(agent)
    for key, (text, _) in DOCUMENTS.items():
        s3.put_object(Bucket=bucket, Key=key, Body=(text * 30).encode())
    source = new_source(agent, base, bucket, vectorIngestionConfiguration={"chunkingConfiguration": chunking})
    job = ingest(agent, base, source)
    equal(job["statistics"]["numberOfNewDocumentsIndexed"], len(DOCUMENTS))
    equal(job["statistics"]["numberOfDocumentsFailed"], 0)
    agent.delete_data_source(knowledgeBaseId=base, dataSourceId=source)
    agent.delete_knowledge_base(knowledgeBaseId=base)


def fixed_size_chunks() -> None:
    _ingest_with(
        {
            "chunkingStrategy": "FIXED_SIZE",
            "fixedSizeChunkingConfiguration": {"maxTokens": 100, "overlapPercentage": 20},
        }
    )


def hierarchical_chunks() -> None:
    _member(agent, "ChunkingConfiguration", "hierarchicalChunkingConfiguration")
    levels = {"levelConfigurations": [{"maxTokens": 300}, {"maxTokens": 60}], "overlapTokens": 20}
    _ingest_with({"chunkingStrategy": "HIERARCHICAL", "hierarchicalChunkingConfiguration": levels})


def semantic_chunks() -> None:
    _member(agent, "ChunkingConfiguration", "semanticChunkingConfiguration")
    options = {"maxTokens": 100, "bufferSize": 0, "breakpointPercentileThreshold": 95}
    _ingest_with({"chunkingStrategy": "SEMANTIC", "semanticChunkingConfiguration": options})


def a_second_ingestion_reads_what_changed() -> None:
    s3.put_object(Bucket=filled.bucket, Key="extra.md", Body=b"Extra.")
    statistics = ingest(agent, filled.base, filled.source)["statistics"]
    equal((statistics["numberOfDocumentsScanned"], statistics["numberOfNewDocumentsIndexed"]), (4, 1))
    s3.delete_object(Bucket=filled.bucket, Key="extra.md")
    equal(ingest(agent, filled.base, filled.source)["statistics"]["numberOfDocumentsDeleted"], 1)
    jobs = agent.list_ingestion_jobs(knowledgeBaseId=filled.base, dataSourceId=filled.source)
    equal(len(jobs["ingestionJobSummaries"]), 3)


def documents_are_handed_in_directly() -> None:
    hand_in = need(agent, "ingest_knowledge_base_documents")
    base = new_base(agent)
    source = agent.create_data_source(knowledgeBaseId=base, name="direct", dataSourceConfiguration={"type": "CUSTOM"})[
        "dataSource"
    ]["dataSourceId"]
    content = {
        "dataSourceType": "CUSTOM",
        "custom": {
            "customDocumentIdentifier": {"id": "one"},
            "sourceType": "IN_LINE",
            "inlineContent": {"type": "TEXT", "textContent": {"data": "Backups are kept for thirty days."}},
        },
    }
    details = hand_in(knowledgeBaseId=base, dataSourceId=source, documents=[{"content": content}])["documentDetails"]
    equal(details[0]["identifier"]["custom"]["id"], "one")


# --- bedrock-agent-runtime ------------------------------------------------------------------------------------------


def retrieve() -> None:
    equal(_retrieve()[0], "backups.md")
    answer = runtime.retrieve(knowledgeBaseId=filled.base, retrievalQuery={"text": QUESTION})["retrievalResults"]
    holds(isinstance(answer[0]["score"], float) and "thirty days" in answer[0]["content"]["text"], "no score or text")


def retrieve_with_a_filter() -> None:
    _member(runtime, "KnowledgeBaseVectorSearchConfiguration", "filter")
    old = {"lessThan": {"key": "year", "value": 2026}}
    equal(set(_retrieve(filter=old)), {"keys.md", "travel.md"})
    both = {"andAll": [old, {"notEquals": {"key": "topic", "value": "travel"}}]}
    equal(_retrieve(filter=both, overrideSearchType="SEMANTIC"), ["keys.md"])


def retrieve_and_generate() -> None:
    first = runtime.retrieve_and_generate(**_ask())
    holds(first["output"]["text"], "no answer")
    runtime.retrieve_and_generate(**_ask(), sessionId=first["sessionId"])
    for citation in first["citations"]:
        span = citation["generatedResponsePart"]["textResponsePart"]["span"]
        holds(span["end"] < len(first["output"]["text"]), f"{span} is past the answer's end")


def retrieve_and_generate_with_a_prompt() -> None:
    _member(runtime, "KnowledgeBaseRetrieveAndGenerateConfiguration", "generationConfiguration")
    generation = {
        "promptTemplate": {"textPromptTemplate": "Answer from these.\n$search_results$\n\n$query$"},
        "inferenceConfig": {"textInferenceConfig": {"maxTokens": 60, "temperature": 0.1, "topP": 0.9}},
    }
    holds(runtime.retrieve_and_generate(**_ask(generationConfiguration=generation))["output"]["text"], "no answer")


def retrieve_and_generate_streamed() -> None:
    stream = need(runtime, "retrieve_and_generate_stream")
    events = list(stream(**_ask())["stream"])
    text = "".join(event["output"]["text"] for event in events if "output" in event)
    equal(text, runtime.retrieve_and_generate(**_ask())["output"]["text"])


def rerank() -> None:
    ranked = need(runtime, "rerank")(
        queries=[{"type": "TEXT", "textQuery": {"text": QUESTION}}],
        sources=[
            {"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": text}}}
            for text, _ in DOCUMENTS.values()
        ],
        rerankingConfiguration={
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": ECHO_ARN}, "numberOfResults": 1},
        },
    )["results"]
    equal([one["index"] for one in ranked], [list(DOCUMENTS).index("backups.md")])


def a_query_for_tables_needs_a_database() -> None:
    with raises(runtime.exceptions.ValidationException, 400):
        need(runtime, "generate_query")(
            queryGenerationInput={"type": "TEXT", "text": "How many?"},
            transformationConfiguration={
                "mode": "TEXT_TO_SQL",
                "textToSqlConfiguration": {
                    "type": "KNOWLEDGE_BASE",
                    "knowledgeBaseConfiguration": {
                        "knowledgeBaseArn": agent.get_knowledge_base(knowledgeBaseId=filled.base)["knowledgeBase"][
                            "knowledgeBaseArn"
                        ]
                    },
                },
            },
        )


def an_unknown_base_is_not_found() -> None:
    with raises(runtime.exceptions.ResourceNotFoundException, 404):
        runtime.retrieve(knowledgeBaseId="ABCDEFGHIJ", retrievalQuery={"text": QUESTION})
    with raises(agent.exceptions.ResourceNotFoundException, 404):
        agent.get_knowledge_base(knowledgeBaseId="ABCDEFGHIJ")


def a_guardrail_is_refused() -> None:
    _member(runtime, "KnowledgeBaseRetrieveAndGenerateConfiguration", "generationConfiguration")
    generation = {"guardrailConfiguration": {"guardrailId": "abcdefgh", "guardrailVersion": "1"}}
    with raises(ClientError, 400, "uardrail"):
        runtime.retrieve_and_generate(**_ask(generationConfiguration=generation))


def references_name_their_documents() -> None:
    answer = runtime.retrieve_and_generate(**_ask())
    known = {uri(filled, key) for key in DOCUMENTS}
    for citation in answer["citations"]:
        for reference in citation["retrievedReferences"]:
            holds(reference["location"]["s3Location"]["uri"] in known, f"{reference} is of no document")


run(
    [
        files_are_uploaded_and_downloaded,
        objects_are_listed_in_pages_and_deleted,
        an_absent_object_has_its_typed_exception,
        roles_and_collections_are_kept,
        a_base_is_made_listed_and_deleted,
        fixed_size_chunks,
        hierarchical_chunks,
        semantic_chunks,
        a_second_ingestion_reads_what_changed,
        documents_are_handed_in_directly,
        retrieve,
        retrieve_with_a_filter,
        retrieve_and_generate,
        retrieve_and_generate_with_a_prompt,
        retrieve_and_generate_streamed,
        rerank,
        a_query_for_tables_needs_a_database,
        an_unknown_base_is_not_found,
        a_guardrail_is_refused,
        references_name_their_documents,
    ]
)
