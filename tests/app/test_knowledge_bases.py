"""Knowledge bases and data sources through unmodified boto3: made, listed, changed, tagged, deleted."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.app.knowing import ECHO, PATIENCE, Aws, Base, Json, new_base, told
from tests.faults.seen import wait_until
from tests.servers import RunningServer

ABSENT = "ABSENT1234"


@pytest.fixture(scope="module")
def aws(server: RunningServer) -> Aws:
    return Aws(server)


def names(aws: Aws, size: int = 100) -> dict[str, str]:
    """id -> name of all bases, read page by page."""
    pages = aws.agent.get_paginator("list_knowledge_bases").paginate(PaginationConfig={"PageSize": size})
    return {it["knowledgeBaseId"]: it["name"] for page in pages for it in page["knowledgeBaseSummaries"]}


def test_a_base_is_made_looked_at_listed_changed_and_deleted(aws: Aws) -> None:
    agent = aws.agent
    given = new_base(f"life-{uuid4().hex[:8]}") | {"description": "of a base", "tags": {"team": "core"}}
    made = agent.create_knowledge_base(**given)["knowledgeBase"]
    which = {"knowledgeBaseId": made["knowledgeBaseId"]}
    assert {name: made[name] for name in given if name != "tags"} == {
        name: value for name, value in given.items() if name != "tags"
    }
    assert made["status"] == "ACTIVE"
    assert made["knowledgeBaseArn"].endswith(f":knowledge-base/{made['knowledgeBaseId']}")
    assert agent.get_knowledge_base(**which)["knowledgeBase"] == made
    others = [aws.base() for _ in range(2)]
    for size in (1, 2, 100):
        found = names(aws, size)
        assert {made["knowledgeBaseId"], *(other.id for other in others)} <= set(found)
        assert len(found) == len(names(aws))

    renamed = {**given, "name": f"{given['name']}-2", "description": "renamed"}
    del renamed["tags"]
    changed = agent.update_knowledge_base(**which, **renamed)["knowledgeBase"]
    assert (changed["name"], changed["description"]) == (renamed["name"], "renamed")
    assert agent.list_tags_for_resource(resourceArn=made["knowledgeBaseArn"])["tags"] == {"team": "core"}
    with pytest.raises(agent.exceptions.ConflictException):
        agent.update_knowledge_base(**which, **{**renamed, "name": names(aws)[others[0].id]})

    assert agent.delete_knowledge_base(**which)["status"] == "DELETING"
    with pytest.raises(aws.runtime.exceptions.ResourceNotFoundException):
        Base(aws, made["knowledgeBaseId"]).retrieve("anything")
    agent.create_knowledge_base(**renamed)  # the name is free at once
    wait_until(lambda: made["knowledgeBaseId"] not in names(aws), PATIENCE)
    with pytest.raises(agent.exceptions.ResourceNotFoundException):
        agent.get_knowledge_base(**which)


def test_what_the_vectors_rest_on_cannot_change(aws: Aws) -> None:
    base = aws.base()
    other: Json = new_base("other")
    configuration = other["knowledgeBaseConfiguration"]["vectorKnowledgeBaseConfiguration"]
    configuration["embeddingModelConfiguration"] = {"bedrockEmbeddingModelConfiguration": {"dimensions": 77}}
    with pytest.raises(aws.agent.exceptions.ConflictException, match="make another"):
        aws.agent.update_knowledge_base(knowledgeBaseId=base.id, **other)


def test_a_base_needs_a_model_that_embeds(aws: Aws) -> None:
    agent = aws.agent
    # CreateKnowledgeBase knows no ResourceNotFoundException.
    with pytest.raises(agent.exceptions.ValidationException, match="absent-model"):
        agent.create_knowledge_base(**new_base("x", ECHO.replace("echo", "absent-model")))
    kendra = {"type": "KENDRA", "kendraKnowledgeBaseConfiguration": {"kendraIndexArn": "arn:aws:kendra:x:1:index/i"}}
    code = told(lambda: agent.create_knowledge_base(**{**new_base("x"), "knowledgeBaseConfiguration": kendra}))
    assert code[0] == "ValidationException"


def test_the_length_of_vectors_can_be_chosen(aws: Aws) -> None:
    given: Json = new_base(f"short-{uuid4().hex[:8]}")
    configuration = given["knowledgeBaseConfiguration"]["vectorKnowledgeBaseConfiguration"]
    configuration["embeddingModelConfiguration"] = {"bedrockEmbeddingModelConfiguration": {"dimensions": 12}}
    made = aws.agent.create_knowledge_base(**given)["knowledgeBase"]
    assert made["knowledgeBaseConfiguration"] == given["knowledgeBaseConfiguration"]
    base = Base(aws, made["knowledgeBaseId"])
    base.filled({"a.txt": "Twelve numbers each."})
    assert len(base.retrieve("Twelve numbers each.")) == 1


def test_a_vector_stores_configuration_is_kept_and_given_back(aws: Aws) -> None:
    """Craton's own index stands in for it: scripts that set one up go on working."""
    storage = {
        "type": "OPENSEARCH_SERVERLESS",
        "opensearchServerlessConfiguration": {
            "collectionArn": "arn:aws:aoss:us-east-1:123456789012:collection/abcdefghij",
            "vectorIndexName": "index",
            "fieldMapping": {"vectorField": "v", "textField": "t", "metadataField": "m"},
        },
    }
    given = new_base(f"stored-{uuid4().hex[:8]}") | {"storageConfiguration": storage}
    made = aws.agent.create_knowledge_base(**given)["knowledgeBase"]
    assert made["storageConfiguration"] == storage
    base = Base(aws, made["knowledgeBaseId"])
    base.filled({"a.txt": "It can be found."})
    assert len(base.retrieve("found")) == 1


def test_a_database_that_nobody_registered_is_refused(aws: Aws) -> None:
    storage = {
        "type": "RDS",
        "rdsConfiguration": {
            "resourceArn": "arn:aws:rds:us-east-1:123456789012:cluster:absent",
            "credentialsSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:s",
            "databaseName": "d",
            "tableName": "t",
            "fieldMapping": {"primaryKeyField": "i", "vectorField": "v", "textField": "t", "metadataField": "m"},
        },
    }
    code = told(lambda: aws.agent.create_knowledge_base(**new_base("rds"), storageConfiguration=storage))
    assert code[:2] == ("ValidationException", 400)


def test_tags_are_kept(aws: Aws) -> None:
    base = aws.base(tags={"a": "1", "b": "2"})
    arn = aws.agent.get_knowledge_base(knowledgeBaseId=base.id)["knowledgeBase"]["knowledgeBaseArn"]
    aws.agent.tag_resource(resourceArn=arn, tags={"b": "3", "c": "4"})
    aws.agent.untag_resource(resourceArn=arn, tagKeys=["a", "absent"])
    assert aws.agent.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "3", "c": "4"}
    many = {f"tag-{number}": "x" for number in range(49)}
    assert told(lambda: aws.agent.tag_resource(resourceArn=arn, tags=many))[0] == "ValidationException"
    absent = arn.replace(base.id, ABSENT)
    with pytest.raises(aws.agent.exceptions.ResourceNotFoundException):
        aws.agent.list_tags_for_resource(resourceArn=absent)


def test_a_call_with_the_same_token_makes_one_base(aws: Aws) -> None:
    given = new_base(f"once-{uuid4().hex[:8]}")
    token = uuid4().hex + "a"
    first = aws.agent.create_knowledge_base(**given, clientToken=token)["knowledgeBase"]
    again = aws.agent.create_knowledge_base(**given, clientToken=token)["knowledgeBase"]
    assert again == first
    with pytest.raises(aws.agent.exceptions.ConflictException):
        aws.agent.create_knowledge_base(**{**given, "name": "another"}, clientToken=token)
    with pytest.raises(aws.agent.exceptions.ConflictException):
        aws.agent.create_knowledge_base(**given)


# --- data sources ---------------------------------------------------------------------------------------------------

SOURCES: list[Json] = [
    {"type": "CUSTOM"},
    {"type": "S3", "s3Configuration": {"bucketArn": "arn:aws:s3:::kept", "inclusionPrefixes": ["docs/"]}},
    {
        "type": "WEB",
        "webConfiguration": {
            "sourceConfiguration": {"urlConfiguration": {"seedUrls": [{"url": "https://example.com/docs"}]}},
            "crawlerConfiguration": {
                "crawlerLimits": {"rateLimit": 60, "maxPages": 10},
                "scope": "HOST_ONLY",
                "inclusionFilters": [".*docs.*"],
            },
        },
    },
]


def test_a_source_is_made_looked_at_listed_changed_and_deleted(aws: Aws) -> None:
    base, agent = aws.base(), aws.agent
    made = [base.source(given, description="of a source") for given in SOURCES]
    for given, source in zip(SOURCES, made, strict=True):
        described = agent.get_data_source(**source.ids)["dataSource"]
        assert described["dataSourceConfiguration"] == given
        assert (described["status"], described["description"]) == ("AVAILABLE", "of a source")
        assert described["dataDeletionPolicy"] == "DELETE"
    pages = agent.get_paginator("list_data_sources").paginate(knowledgeBaseId=base.id, PaginationConfig={"PageSize": 2})
    listed = [it["dataSourceId"] for page in pages for it in page["dataSourceSummaries"]]
    assert listed == [source.id for source in made]
    changed = agent.update_data_source(
        **made[0].ids, name="renamed", dataSourceConfiguration=SOURCES[0], dataDeletionPolicy="RETAIN"
    )["dataSource"]
    assert (changed["name"], changed["dataDeletionPolicy"]) == ("renamed", "RETAIN")
    with pytest.raises(agent.exceptions.ConflictException, match="chunking"):
        agent.update_data_source(
            **made[0].ids,
            name="renamed",
            dataSourceConfiguration=SOURCES[0],
            vectorIngestionConfiguration={"chunkingConfiguration": {"chunkingStrategy": "NONE"}},
        )
    assert agent.delete_data_source(**made[2].ids)["status"] == "DELETING"
    wait_until(lambda: len(agent.list_data_sources(knowledgeBaseId=base.id)["dataSourceSummaries"]) == 2, PATIENCE)
    with pytest.raises(agent.exceptions.ResourceNotFoundException):
        agent.get_data_source(**made[2].ids)


def test_a_sources_documents_go_with_it_unless_they_are_to_stay(aws: Aws) -> None:
    base = aws.base()
    goes = base.filled({"goes.txt": "This one goes."})
    stays = base.s3_source(aws.bucket(), dataDeletionPolicy="RETAIN")
    stays.put("stays.txt", "This one stays.")
    stays.ingest()
    for source in (goes, stays):
        aws.agent.delete_data_source(**source.ids)
    wait_until(lambda: not aws.agent.list_data_sources(knowledgeBaseId=base.id)["dataSourceSummaries"], PATIENCE)
    assert [result["content"]["text"] for result in base.retrieve("one")] == ["This one stays."]


@pytest.mark.parametrize(
    "given",
    [
        {"type": "CONFLUENCE", "confluenceConfiguration": {
            "sourceConfiguration": {"hostUrl": "https://x.atlassian.net", "hostType": "SAAS", "authType": "BASIC",
                                    "credentialsSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:s"}}},
        {"type": "S3"},
        {"type": "WEB"},
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_read_is_refused(aws: Aws, given: Json) -> None:
    base = aws.base()
    with pytest.raises(aws.agent.exceptions.ValidationException):
        base.source(given)


def test_what_a_source_cannot_do_is_refused_and_not_dropped(aws: Aws) -> None:
    base = aws.base()
    parsing = {
        "parsingConfiguration": {
            "parsingStrategy": "BEDROCK_FOUNDATION_MODEL",
            "bedrockFoundationModelConfiguration": {"modelArn": ECHO},
        }
    }
    with pytest.raises(aws.agent.exceptions.ValidationException, match="not supported"):
        base.source({"type": "CUSTOM"}, vectorIngestionConfiguration=parsing)


def test_absent_things_are_typed(aws: Aws) -> None:
    agent, base = aws.agent, aws.base()
    source: dict[str, Any] = base.source({"type": "CUSTOM"}).ids
    for call in (
        lambda: agent.get_knowledge_base(knowledgeBaseId=ABSENT),
        lambda: agent.delete_knowledge_base(knowledgeBaseId=ABSENT),
        lambda: agent.list_data_sources(knowledgeBaseId=ABSENT),
        lambda: agent.create_data_source(knowledgeBaseId=ABSENT, name="x", dataSourceConfiguration={"type": "CUSTOM"}),
        lambda: agent.get_data_source(knowledgeBaseId=base.id, dataSourceId=ABSENT),
        lambda: agent.delete_data_source(knowledgeBaseId=base.id, dataSourceId=ABSENT),
        lambda: agent.start_ingestion_job(knowledgeBaseId=base.id, dataSourceId=ABSENT),
        lambda: agent.get_ingestion_job(**source, ingestionJobId=ABSENT),
        lambda: agent.stop_ingestion_job(**source, ingestionJobId=ABSENT),
    ):
        assert told(call)[:2] == ("ResourceNotFoundException", 404)


def test_a_token_of_a_listing_that_was_never_given_out_is_refused(aws: Aws) -> None:
    assert told(lambda: aws.agent.list_knowledge_bases(nextToken="nonsense"))[0] == "ValidationException"
