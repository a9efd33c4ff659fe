"""Knowledge bases of another tenant: whatever is named, by whatever id, looks exactly like what never was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.app.knowing import ECHO, Aws, Base, Json, Source, inline, told
from tests.servers import RunningServer, clean_environment, craton, serving

ROLES = ("reader", "invoker", "developer", "admin")
SECRET = "The password of the red tenant is swordfish."


@dataclass(frozen=True)
class Things:
    """Ids of what a tenant has; `absent` are such as nobody has."""

    base: str
    source: str
    direct: str
    job: str
    document: str
    key: str
    session: str
    token: str
    listing: str
    bucket: str
    arn: str


ABSENT = Things(
    base="ABSENT1234",
    source="ABSENT1234",
    direct="ABSENT1234",
    job="ABSENT1234",
    document="0" * 32,
    key="absent",
    session="00000000-0000-0000-0000-000000000000",
    token="AAAA",
    listing="AAAA",
    bucket="absent-bucket",
    arn="arn:aws:bedrock:us-east-1:000000000000:knowledge-base/ABSENT1234",
)


@dataclass(frozen=True)
class World:
    server: RunningServer
    red: Things
    tokens: dict[str, str]  # role -> a token of the blue tenant; "red": red's own


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("walls")
    environment = clean_environment(folder / "home")
    tokens = {}
    for tenant in ("red", "blue"):
        craton("keys", "tenants", "create", tenant, environment=environment)
    for name, tenant, role in (("red", "red", "admin"), *((role, "blue", role) for role in ROLES)):
        made = craton("keys", "create", "--role", role, "--tenant", tenant, "--json", environment=environment)
        tokens[name] = json.loads(made.stdout)["token"]
    with serving(folder / "home") as server:
        yield World(server, _made(Aws(server, tokens["red"])), tokens)


def _made(red: Aws) -> Things:
    base = red.base()
    source = base.filled({"secret.txt": SECRET, "other.txt": "Another secret of the red tenant."})
    direct = base.source({"type": "CUSTOM"})
    direct.hand_in(inline("mine", "A third secret of the red tenant."))
    direct.settled()
    red.base()
    page = base.page("secret", top=1)
    (document,) = page["retrievalResults"]
    return Things(
        base=base.id,
        source=source.id,
        direct=direct.id,
        job=red.agent.list_ingestion_jobs(**source.ids)["ingestionJobSummaries"][0]["ingestionJobId"],
        document=document["documentId"],
        key="mine",
        session=base.ask("What is the password?", model="echo")["sessionId"],
        token=page["nextToken"],
        listing=red.agent.list_knowledge_bases(maxResults=1)["nextToken"],
        bucket=source.bucket,
        arn=red.agent.get_knowledge_base(knowledgeBaseId=base.id)["knowledgeBase"]["knowledgeBaseArn"],
    )


Call = Callable[[Aws, Things], Any]


def _custom(things: Things) -> list[Json]:
    return [{"dataSourceType": "CUSTOM", "custom": {"id": things.key}}]


def _in(things: Things) -> Json:
    return {"knowledgeBaseId": things.base, "dataSourceId": things.source}


def _direct(things: Things) -> Json:
    return {"knowledgeBaseId": things.base, "dataSourceId": things.direct}


CALLS: dict[str, Call] = {
    "GetKnowledgeBase": lambda aws, it: aws.agent.get_knowledge_base(knowledgeBaseId=it.base),
    "ListDataSources": lambda aws, it: aws.agent.list_data_sources(knowledgeBaseId=it.base),
    "GetDataSource": lambda aws, it: aws.agent.get_data_source(**_in(it)),
    "GetIngestionJob": lambda aws, it: aws.agent.get_ingestion_job(**_in(it), ingestionJobId=it.job),
    "ListIngestionJobs": lambda aws, it: aws.agent.list_ingestion_jobs(**_in(it)),
    "ListKnowledgeBaseDocuments": lambda aws, it: aws.agent.list_knowledge_base_documents(**_direct(it)),
    "GetKnowledgeBaseDocuments": lambda aws, it: aws.agent.get_knowledge_base_documents(
        **_direct(it), documentIdentifiers=_custom(it)
    ),
    "ListTagsForResource": lambda aws, it: aws.agent.list_tags_for_resource(resourceArn=it.arn),
    "Retrieve": lambda aws, it: Base(aws, it.base).retrieve("secret"),
    "RetrieveByArn": lambda aws, it: Base(aws, it.arn).retrieve("secret"),
    "RetrieveAndGenerate": lambda aws, it: Base(aws, it.base).ask("secret", model="echo"),
    "RetrieveAndGenerateStream": lambda aws, it: aws.runtime.retrieve_and_generate_stream(
        **Base(aws, it.base).question("secret", model="echo")
    ),
    "GetIngestedDocumentAcl": lambda aws, it: aws.runtime.get_ingested_document_acl(**_in(it), documentId=it.document),
    "CheckIngestedDocumentAcl": lambda aws, it: aws.runtime.check_ingested_document_acl(
        **_in(it), documentId=it.document, userContext={"userId": "ann"}
    ),
    "StartIngestionJob": lambda aws, it: aws.agent.start_ingestion_job(**_in(it)),
    "StopIngestionJob": lambda aws, it: aws.agent.stop_ingestion_job(**_in(it), ingestionJobId=it.job),
    "IngestKnowledgeBaseDocuments": lambda aws, it: aws.agent.ingest_knowledge_base_documents(
        **_direct(it), documents=[inline(it.key, "poison")]
    ),
    "DeleteKnowledgeBaseDocuments": lambda aws, it: aws.agent.delete_knowledge_base_documents(
        **_direct(it), documentIdentifiers=_custom(it)
    ),
    "CreateDataSource": lambda aws, it: aws.agent.create_data_source(
        knowledgeBaseId=it.base, name="mine", dataSourceConfiguration={"type": "CUSTOM"}
    ),
    "UpdateDataSource": lambda aws, it: aws.agent.update_data_source(
        **_direct(it), name="mine", dataSourceConfiguration={"type": "CUSTOM"}
    ),
    "UpdateKnowledgeBase": lambda aws, it: aws.agent.update_knowledge_base(
        knowledgeBaseId=it.base,
        name="mine",
        roleArn="arn:aws:iam::123456789012:role/x",
        knowledgeBaseConfiguration={
            "type": "VECTOR",
            "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": ECHO},
        },
    ),
    "TagResource": lambda aws, it: aws.agent.tag_resource(resourceArn=it.arn, tags={"a": "b"}),
    "UntagResource": lambda aws, it: aws.agent.untag_resource(resourceArn=it.arn, tagKeys=["a"]),
    "DeleteDataSource": lambda aws, it: aws.agent.delete_data_source(**_in(it)),
    "DeleteKnowledgeBase": lambda aws, it: aws.agent.delete_knowledge_base(knowledgeBaseId=it.base),
}


def masked(message: str, things: Things) -> str:
    for value in sorted((value for value in vars(things).values()), key=len, reverse=True):
        message = message.replace(value, "ID")
    return message


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", list(CALLS))
def test_what_is_anothers_looks_like_what_never_was(world: World, name: str, role: str) -> None:
    aws = Aws(world.server, world.tokens[role])
    foreign, absent = (
        (code, status, masked(message, things))
        for things in (world.red, ABSENT)
        for code, status, message in [told(lambda things=things: CALLS[name](aws, things))]  # type: ignore[misc]
    )
    assert foreign == absent
    assert foreign[:2] in {("ResourceNotFoundException", 404), ("AccessDeniedException", 403)}
    if role == "admin":
        assert foreign[0] == "ResourceNotFoundException"


def test_the_table_names_every_operation_on_things_that_have_owners(world: World) -> None:
    told_ = {name for name in CALLS if name != "RetrieveByArn"}
    service = Aws(world.server).agent.meta.service_model
    runtime = Aws(world.server).runtime.meta.service_model
    real = {"Knowledge", "DataSource", "Ingest", "Retrieve"}
    named = {
        name
        for model in (service, runtime)
        for name in model.operation_names
        if any(word in name for word in real)
        and "knowledgeBaseId" in str(sorted(model.operation_model(name).input_shape.members))
        and not any(word in name for word in ("Agent", "RetrievalInstruction"))
    }
    assert named - told_ == {"AgenticRetrieveStream"} & named


@pytest.mark.parametrize("role", ROLES)
def test_craton_s_own_routes_keep_the_wall_too(world: World, role: str) -> None:
    routes = [
        ("GET", "/{base}", None),
        ("DELETE", "/{base}", None),
        ("POST", "/{base}/reindex", {}),
        ("POST", "/{base}/retrieve", {"knowledge_base": "x", "query": "secret"}),
        ("POST", "/{base}/ask", {"question": "secret", "model": "echo"}),
        ("GET", "/{base}/sources", None),
        ("DELETE", "/{base}/sources/{source}", None),
        ("GET", "/{base}/sources/{source}/documents", None),
        ("GET", "/{base}/sources/{source}/ingestions", None),
        ("POST", "/{base}/sources/{source}/ingestions", {}),
        ("GET", "/{base}/sources/{source}/ingestions/{job}", None),
    ]
    with world.server.client() as client:
        client.headers["authorization"] = f"Bearer {world.tokens[role]}"
        for method, path, body in routes:
            answers = []
            for things in (world.red, ABSENT):
                url = "/api/craton/v1/kb" + path.format(**vars(things))
                answer = client.request(method, url, json=body)
                answers.append((answer.status_code, masked(answer.text, things)))
            assert answers[0] == answers[1], path
            assert answers[0][0] in {403, 404}


def test_no_listing_shows_what_is_anothers(world: World) -> None:
    blue = Aws(world.server, world.tokens["admin"])
    assert blue.agent.list_knowledge_bases()["knowledgeBaseSummaries"] == []
    with world.server.client() as client:
        client.headers["authorization"] = f"Bearer {world.tokens['admin']}"
        assert client.get("/api/craton/v1/kb").json()["knowledge_bases"] == []
        assert client.get("/api/craton/v1/jobs").json()["jobs"] == []


def test_tokens_and_sessions_of_another_are_worth_nothing(world: World) -> None:
    blue = Aws(world.server, world.tokens["admin"])
    base = blue.base()
    base.filled({"a.txt": "A document of the blue tenant.", "b.txt": "Another one of the blue tenant."})
    texts = {result["content"]["text"] for result in base.retrieve("secret password")}
    assert texts == {"A document of the blue tenant.", "Another one of the blue tenant."}
    assert told(lambda: base.page("secret", top=1, token=world.red.token))[0] == "ValidationException"
    foreign, absent = (
        told(lambda session=session: base.ask("And?", model="echo", session=session))  # type: ignore[misc]
        for session in (world.red.session, ABSENT.session)
    )
    assert foreign[0] == "ResourceNotFoundException"
    assert foreign[2].replace(world.red.session, "ID") == absent[2].replace(ABSENT.session, "ID")
    # A listing's token says where to go on and not whose: it gives what is behind it of one's own.
    listed = blue.agent.list_knowledge_bases(nextToken=world.red.listing)["knowledgeBaseSummaries"]
    assert {it["knowledgeBaseId"] for it in listed} <= {base.id}


def test_another_s_bucket_cannot_be_read_through_a_source(world: World) -> None:
    blue = Aws(world.server, world.tokens["admin"])
    base = blue.base()
    ended = {}
    for bucket in (world.red.bucket, ABSENT.bucket):
        try:
            job = base.s3_source(bucket).ingest("FAILED")
            ended[bucket] = str(job["failureReasons"]).replace(bucket, "ID")
        except blue.agent.exceptions.ClientError as error:
            ended[bucket] = str(error).replace(bucket, "ID")
    foreign, absent = ended.values()
    assert foreign == absent
    direct = base.source({"type": "CUSTOM"})
    reasons = []
    for bucket, key in ((world.red.bucket, "secret.txt"), (ABSENT.bucket, "secret.txt")):
        uri = f"s3://{bucket}/{key}"
        direct.hand_in({"content": {"dataSourceType": "S3", "s3": {"s3Location": {"uri": uri}}}})
        direct.settled()
        which = [{"dataSourceType": "S3", "s3": {"uri": uri}}]
        (got,) = blue.agent.get_knowledge_base_documents(**direct.ids, documentIdentifiers=which)["documentDetails"]
        assert got["status"] == "FAILED"
        reasons.append(got["statusReason"].replace(bucket, "ID"))
    assert reasons[0] == reasons[1]
    assert base.retrieve("password") == []


def test_the_same_names_tokens_and_keys_of_two_tenants_do_not_meet(world: World) -> None:
    token = uuid4().hex + "x"
    made = {}
    for name in ("red", "admin"):
        aws = Aws(world.server, world.tokens[name])
        base = aws.agent.create_knowledge_base(
            name="shared-name",
            roleArn="arn:aws:iam::123456789012:role/x",
            knowledgeBaseConfiguration={
                "type": "VECTOR",
                "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": ECHO},
            },
            clientToken=token,
        )["knowledgeBase"]["knowledgeBaseId"]
        source = Base(aws, base).source({"type": "CUSTOM"})
        source.hand_in(inline("same", f"What {name} says."), clientToken=token)
        made[name] = source
    for name, source in made.items():
        source.settled()
        assert [result["content"]["text"] for result in source.base.retrieve("says")] == [f"What {name} says."]
    with world.server.client() as client:  # by name each finds its own
        client.headers["authorization"] = f"Bearer {world.tokens['admin']}"
        assert client.get("/api/craton/v1/kb/shared-name").json()["id"] == made["admin"].base.id


def test_everything_is_still_there(world: World) -> None:
    """Nothing of what was tried above did anything."""
    red = Aws(world.server, world.tokens["red"])
    base = Base(red, world.red.base)
    assert SECRET in [result["content"]["text"] for result in base.retrieve("password")]
    assert Source(base, world.red.direct).documents()["mine"]["status"] == "INDEXED"
