"""Indexes in a registered PostgreSQL with pgvector, through unmodified boto3: storageConfiguration of the type RDS."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.app.knowing import ECHO, PATIENCE, Aws, Base, Json, keys, new_base, told
from tests.app.registering import Line, Schema, new_schema
from tests.faults.seen import wait_until
from tests.servers import RunningServer, serving

ARN = "arn:aws:rds:us-east-1:123456789012:cluster:main"
PRIVATE = "arn:aws:rds:us-east-1:123456789012:cluster:private"
DOWN = "arn:aws:rds:us-east-1:123456789012:cluster:down"
INDEX = "craton_index_"
DOCUMENTS = {f"{number}.txt": f"document {number} speaks of topic{number % 4} and word{number}" for number in range(24)}


@dataclass
class World:
    aws: Aws
    schema: Schema
    line: Line


def config(schema: Schema, line: Line) -> str:
    return f"""
[databases.main]
url = "{schema.url(line.folder)}"
arn = "{ARN}"
indexes = true

[databases.private]
url = "{schema.url()}"
arn = "{PRIVATE}"
tenants = ["somebody-else"]
indexes = true

[databases.down]
url = "postgresql://nobody@127.0.0.1:1/nothing"
arn = "{DOWN}"
indexes = true

[databases.plain]
url = "{schema.url()}"
arn = "{ARN}-plain"
"""


@pytest.fixture(scope="module")
def world(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_schema(postgres_server) as schema:
        line = Line(schema.folder)
        with serving(tmp_path_factory.mktemp("storage") / "home", config=config(schema, line)) as server:
            yield World(Aws(server), schema, line)
        line.close()


def storage(arn: str) -> Json:
    return {
        "type": "RDS",
        "rdsConfiguration": {
            "resourceArn": arn,
            "credentialsSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:s",
            "databaseName": "d",
            "tableName": "t",
            "fieldMapping": {"primaryKeyField": "i", "vectorField": "v", "textField": "t", "metadataField": "m"},
        },
    }


def rds_base(aws: Aws, arn: str = ARN, embedder: str = ECHO) -> Base:
    given = new_base(f"rds-{uuid4().hex[:12]}", embedder) | {"storageConfiguration": storage(arn)}
    made = aws.agent.create_knowledge_base(**given)["knowledgeBase"]
    assert made["storageConfiguration"] == given["storageConfiguration"]
    return Base(aws, made["knowledgeBaseId"])


def held(schema: Schema) -> dict[str, list[object]]:
    """Everything that the indexes' tables hold, without the ids of documents and pieces."""
    found: dict[str, list[object]] = {"points": [], "postings": [], "fields": []}
    for table in schema.tables(INDEX):
        kind = table.rpartition("_")[2]
        columns = {"points": "allow, deny, vector::text", "postings": "term, weight", "fields": "key, sort, value"}
        found[kind] += schema.rows(f"SELECT {columns[kind]} FROM {table}")
    return {kind: sorted(map(repr, rows)) for kind, rows in found.items()}


@pytest.mark.slow
def test_an_index_lives_in_the_registered_database_and_goes_with_its_base(world: World) -> None:
    base = rds_base(world.aws)
    source = base.s3_source(world.aws.bucket())
    for key, text in DOCUMENTS.items():
        source.put(key, text)
    source.describe("3.txt", {"team": "core", "year": 2024})
    source.ingest()
    assert len(world.schema.tables(INDEX)) == 3
    points = next(table for table in world.schema.tables(INDEX) if table.endswith("_points"))
    assert world.schema.rows(f"SELECT count(*) FROM {points}") == [(24,)]

    for mode in ("HYBRID", "SEMANTIC"):
        assert keys(base.retrieve(DOCUMENTS["7.txt"], top=1, overrideSearchType=mode)) == ["7.txt"]
    assert len(base.retrieve("topic1", top=100)) == 24
    narrow = {"andAll": [{"equals": {"key": "team", "value": "core"}}, {"greaterThan": {"key": "year", "value": 2000}}]}
    assert keys(base.retrieve("document", filter=narrow)) == ["3.txt"]
    assert base.retrieve("document", filter={"equals": {"key": "team", "value": "other"}}) == []

    source.put("7.txt", "something else entirely: zebra")
    source.delete("8.txt")
    statistics = source.ingest()["statistics"]
    assert (statistics["numberOfModifiedDocumentsIndexed"], statistics["numberOfDocumentsDeleted"]) == (1, 1)
    assert keys(base.retrieve("zebra", top=1)) == ["7.txt"]
    assert "8.txt" not in keys(base.retrieve("word8"))

    wait_until(lambda: world.schema.rows(f"SELECT count(*) FROM {points}") == [(23,)], PATIENCE)
    before = [(r["content"]["text"], round(r["score"], 4)) for r in base.retrieve("topic2 word6 zebra", top=10)]
    done = world.aws.server.craton("kb", "reindex", base.id, "--json")
    job = json.loads(done.stdout)["job"]
    with world.aws.server.client() as client:
        wait_until(lambda: client.get(f"/api/craton/v1/jobs/{job}").json()["status"] == "succeeded", PATIENCE)
    after = [(r["content"]["text"], round(r["score"], 4)) for r in base.retrieve("topic2 word6 zebra", top=10)]
    assert after == before
    wait_until(lambda: points not in world.schema.tables(INDEX), PATIENCE)  # the old one is given up a little later

    world.aws.agent.delete_knowledge_base(knowledgeBaseId=base.id)
    wait_until(lambda: world.schema.tables(INDEX) == [], PATIENCE)
    assert world.schema.rows("SELECT * FROM craton_indexes") == []


@pytest.mark.parametrize("arn", ["arn:aws:rds:us-east-1:123456789012:cluster:absent", PRIVATE, f"{ARN}-plain"])
def test_a_database_that_is_not_for_this_tenants_indexes_is_refused_with_the_next_step(world: World, arn: str) -> None:
    code, status, message = told(lambda: rds_base(world.aws, arn))
    assert (code, status) == ("ValidationException", 400)
    assert "config.toml: [databases.NAME]" in message
    assert PRIVATE not in message.replace(arn, "")  # who may not use it is not told of it


def test_a_database_that_is_down_holds_nothing_else_up(world: World) -> None:
    """The server started though it is registered; what needs it is told so, and the rest goes on."""
    base = rds_base(world.aws, DOWN)
    code, status, message = told(lambda: base.retrieve("anything"))
    assert (code, status) == ("ThrottlingException", 429)
    assert "cannot be reached" in message
    source = base.s3_source(world.aws.bucket())
    source.put("a.txt", "It waits.")
    job = source.start()["ingestionJobId"]

    def reasons() -> list[str]:
        told_of: list[str] = world.aws.agent.get_knowledge_base(knowledgeBaseId=base.id)["knowledgeBase"][
            "failureReasons"
        ]
        return told_of

    wait_until(lambda: any("cannot be reached" in reason for reason in reasons()), PATIENCE)
    assert source.job(job)["status"] == "IN_PROGRESS"
    world.aws.agent.stop_ingestion_job(**source.ids, ingestionJobId=job)
    assert source.ended(job)["status"] == "STOPPED"
    other = world.aws.base()
    other.filled({"b.txt": "Others do not notice."})
    assert len(other.retrieve("notice")) == 1


def test_an_ingestion_waits_for_a_database_that_comes_back(world: World) -> None:
    base = rds_base(world.aws)
    source = base.filled({"first.txt": "the first one"})
    world.line.cut()
    try:
        assert told(lambda: base.retrieve("first"))[0] == "ThrottlingException"
        source.put("second.txt", "the second one")
        job = source.start()["ingestionJobId"]
        time.sleep(2)
        assert source.job(job)["status"] in {"STARTING", "IN_PROGRESS"}
    finally:
        world.line.mend()
    assert source.ended(job)["status"] == "COMPLETE"
    assert keys(base.retrieve("the second one", top=1)) == ["second.txt"]
    described = world.aws.agent.get_knowledge_base(knowledgeBaseId=base.id)["knowledgeBase"]
    wait_until(
        lambda: not world.aws.agent.get_knowledge_base(knowledgeBaseId=base.id)["knowledgeBase"]["failureReasons"],
        PATIENCE,
    )
    assert described["status"] == "ACTIVE"


def test_an_index_whose_tables_were_dropped_is_filled_again(world: World) -> None:
    base = rds_base(world.aws)
    before = set(world.schema.tables(INDEX))
    source = base.filled(DOCUMENTS)
    made = sorted(set(world.schema.tables(INDEX)) - before)
    for table in made:
        world.schema.run(f"DROP TABLE {table}")
    source.put("more.txt", "one more")  # the next write finds out
    source.ingest()
    assert len(base.retrieve("document")) == 25


def kill(server: RunningServer) -> None:
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()


@pytest.mark.slow
def test_killed_while_it_writes_the_index_is_the_same_in_the_end(postgres_server: str, tmp_path: Path) -> None:
    texts = {f"{number}.txt": f"text {number} of topic{number % 7}\nwith word{number}" for number in range(240)}
    with new_schema(postgres_server) as schema:
        settings = f'[databases.main]\nurl = "{schema.url()}"\narn = "{ARN}"\nindexes = true\n'
        home = tmp_path / "home"
        with serving(home, config=settings) as server:
            aws = Aws(server)
            base = rds_base(aws)
            source = base.s3_source(aws.bucket(), {"chunkingStrategy": "NONE"})
            for key, text in texts.items():
                source.put(key, text)
            job = source.start()["ingestionJobId"]
            wait_until(lambda: schema.tables(INDEX), PATIENCE)
            kill(server)
        for pause in (0.3, 0.6):
            with serving(home) as server:
                time.sleep(pause)
                kill(server)
        with serving(home) as server:
            aws = Aws(server)
            again = type(source)(Base(aws, base.id), source.id, source.bucket)
            assert again.ended(job)["status"] == "COMPLETE"
            wait_until(lambda: len(held(schema)["points"]) == len(texts), PATIENCE)
            killed = held(schema)
            aws.agent.delete_knowledge_base(knowledgeBaseId=base.id)
            wait_until(lambda: schema.tables(INDEX) == [], PATIENCE)
            undisturbed = rds_base(aws)
            undisturbed.s3_source(source.bucket, {"chunkingStrategy": "NONE"}).ingest()
            assert held(schema) == killed
