"""Rows of a PostgreSQL and records of an HTTP API as documents: read, cited, and followed when they change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.app.knowing import MINILM, SMOLLM, Aws, Base, Json, Source, told
from tests.app.registering import Schema, new_schema
from tests.app.replying import Replying
from tests.servers import clean_environment, craton, serving

GOODS = """
CREATE TABLE goods (
    id int PRIMARY KEY, name text, body text, price numeric, sold boolean DEFAULT false,
    changed timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE lines (bill text, place int, what text, PRIMARY KEY (bill, place));
CREATE TABLE loose (what text);
INSERT INTO goods (id, name, body, price) VALUES
    (1, 'Kettle', 'The kettle boils a litre of water in three minutes.', 39.90),
    (2, 'Lamp', 'The lamp burns whale oil for nine hours.', 25.00),
    (3, 'Rug', 'The rug was woven by hand in the north.', 89.00);
INSERT INTO lines VALUES ('a/1', 1, 'Two kettles were ordered.'), ('a/1', 2, 'One lamp was ordered.');
"""


@dataclass
class World:
    aws: Aws
    schema: Schema
    api: Replying


@pytest.fixture(scope="module")
def world(postgres_server: str, starter_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("sources") / "home"
    craton("models", "pull", "--starters", "--from", str(starter_files), environment=clean_environment(home))
    with new_schema(postgres_server) as schema, Replying() as api:
        schema.run(GOODS)
        config = f"""
[databases.sales]
url = "{schema.url()}"

[databases.down]
url = "postgresql://nobody@127.0.0.1:1/nothing"

[outgoing]
allow = ["{api.url}"]
"""
        with serving(home, config=config) as server:
            yield World(Aws(server), schema, api)


def connector(base: Base, kind: str, **options: object) -> Source:
    return base.source(
        {
            "type": "MANAGED_KNOWLEDGE_BASE_CONNECTOR",
            "managedKnowledgeBaseConnectorConfiguration": {"connectorParameters": {"type": kind, **options}},
        }
    )


def goods(base: Base, **options: object) -> Source:
    table = {"database": "sales", "table": "goods", "title": "name", "text": ["name", "body"], "metadata": ["price"]}
    return connector(base, "SQL", **(table | options))


def places(results: list[Json]) -> list[str]:
    return [result["metadata"]["x-amz-bedrock-kb-source-uri"] for result in results]


def counted(job: Json) -> tuple[int, int, int, int]:
    """New, changed, deleted, failed."""
    found = job["statistics"]
    names = ("NewDocumentsIndexed", "ModifiedDocumentsIndexed", "DocumentsDeleted", "DocumentsFailed")
    return tuple(found[f"numberOf{name}"] for name in names)  # type: ignore[return-value]


def test_rows_become_documents_and_an_answer_cites_its_row(world: World) -> None:
    base = world.aws.base(MINILM)
    goods(base, key=["id"]).ingest()
    (first, *_) = base.retrieve("name: Lamp\nbody: The lamp burns whale oil for nine hours.", top=3)
    assert first["content"]["text"] == "name: Lamp\nbody: The lamp burns whale oil for nine hours."
    assert first["location"]["customDocumentLocation"]["id"] == "postgresql://sales/goods?id=2"
    dear = {"greaterThan": {"key": "price", "value": 50}}
    assert places(base.retrieve("anything", filter=dear)) == ["postgresql://sales/goods?id=3"]

    answer = base.ask("For how many hours does the lamp burn?", SMOLLM)
    assert "The lamp burns whale oil for nine hours." in answer["output"]["text"]
    cited = [reference for citation in answer["citations"] for reference in citation["retrievedReferences"]]
    assert places(cited)[0] == "postgresql://sales/goods?id=2"


@pytest.mark.parametrize("options", [{}, {"updated": "changed", "deleted": "sold"}], ids=["whole", "incremental"])
def test_what_changed_in_a_table_changes_in_the_base(world: World, options: Json) -> None:
    base = world.aws.base()
    source = goods(base, key=["id"], **options)
    assert counted(source.ingest()) == (3, 0, 0, 0)
    assert counted(source.ingest()) == (0, 0, 0, 0)
    world.schema.run("INSERT INTO goods (id, name, body) VALUES (4, 'Fork', 'The fork has four prongs.')")
    world.schema.run("UPDATE goods SET body = 'The rug is grey now.', changed = clock_timestamp() WHERE id = 3")
    if options:
        world.schema.run("UPDATE goods SET sold = true, changed = clock_timestamp() WHERE id = 1")
    else:
        world.schema.run("DELETE FROM goods WHERE id = 1")
    assert counted(source.ingest()) == (1, 1, 1, 0)
    texts = {result["content"]["text"] for result in base.retrieve("name")}
    assert texts == {
        "name: Lamp\nbody: The lamp burns whale oil for nine hours.",
        "name: Fork\nbody: The fork has four prongs.",
        "name: Rug\nbody: The rug is grey now.",
    }
    world.schema.run("DELETE FROM goods")  # as it was, for the next one
    world.schema.run(
        "INSERT INTO goods (id, name, body, price) VALUES "
        "(1, 'Kettle', 'The kettle boils a litre of water in three minutes.', 39.90), "
        "(2, 'Lamp', 'The lamp burns whale oil for nine hours.', 25.00), "
        "(3, 'Rug', 'The rug was woven by hand in the north.', 89.00)"
    )


def test_a_table_that_shrinks_suddenly_is_asked_about(world: World) -> None:
    world.schema.run("CREATE TABLE many AS SELECT n AS id, 'text ' || n AS body FROM generate_series(1, 40) AS n")
    base = world.aws.base()
    source = connector(base, "SQL", database="sales", table="many", key=["id"])
    source.ingest()
    world.schema.run("DELETE FROM many WHERE id > 2")
    job = source.ingest("FAILED")
    assert len(base.retrieve("text")) == 40
    assert "shr" in " ".join(job["failureReasons"]).lower()


def test_the_command_line_needs_the_tables_name_alone(world: World) -> None:
    """What tells its rows apart stands in the catalogue."""
    made = world.aws.server.craton("kb", "create", "bills", "--from", "postgresql:sales/lines", "--json")
    (ingestion,) = json.loads(made.stdout)["ingestions"]
    assert (ingestion["status"], ingestion["statistics"]["new"]) == ("complete", 2)
    found = json.loads(world.aws.server.craton("kb", "search", "bills", "kettles", "--json").stdout)["passages"]
    assert {passage["location"]["uri"] for passage in found} == {
        "postgresql://sales/lines?bill=a%2F1&place=1",
        "postgresql://sales/lines?bill=a%2F1&place=2",
    }
    asked = world.aws.server.craton("ask", "bills", "How many kettles were ordered?")
    assert "Two kettles were ordered." in asked.stdout
    named = f"postgresql:sales/{world.schema.name}.lines"
    again = world.aws.server.craton("kb", "create", "bills-2", "--from", named, "--embedder", "echo", "--json")
    assert json.loads(again.stdout)["ingestions"][0]["statistics"]["new"] == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"database": "sales", "table": "loose"}, "no primary key"),
        ({"database": "sales", "table": "absent"}, "does not exist"),
        ({"database": "sales", "table": "goods", "text": ["absent"]}, "no column 'absent'"),
        ({"database": "down", "table": "goods", "key": ["id"]}, "cannot be reached"),
    ],
)
def test_a_table_that_cannot_be_read_is_a_reason(world: World, options: Json, reason: str) -> None:
    base = world.aws.base()
    job = connector(base, "SQL", **options).ingest("FAILED")
    assert reason in " ".join(job["failureReasons"])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"database": "absent", "table": "goods"}, r"There is no database 'absent'"),
        ({"database": "sales", "query": "SELECT 1"}, "options.key"),
        ({"database": "sales"}, "either table or query"),
        ({"database": "sales", "table": "goods", "strange": 1}, "strange"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(world: World, options: Json, reason: str) -> None:
    code, _, message = told(lambda: connector(world.aws.base(), "SQL", **options))
    assert code in {"ValidationException", "ResourceNotFoundException"}
    assert reason in message


# --- an HTTP API ----------------------------------------------------------------------------------------------------


def test_all_pages_of_an_api_are_read_and_followed(world: World) -> None:
    records = [{"id": f"t{n}", "title": f"Ticket {n}", "body": f"Ticket {n} tells of fault{n}."} for n in range(1, 8)]

    def page(query: dict[str, str]) -> Json:
        start = int(query.get("offset", "0"))
        return {"items": records[start : start + 3]}

    world.api.answer = page
    base = world.aws.base()
    source = connector(
        base,
        "API",
        url=f"{world.api.url}/tickets",
        items="/items",
        text=["/body"],
        title="/title",
        pagination={"kind": "offset", "parameter": "offset", "size_parameter": "limit", "size": 3},
    )
    assert counted(source.ingest()) == (7, 0, 0, 0)
    best = base.retrieve("Ticket 5 tells of fault5.", top=1)[0]
    assert best["content"]["text"] == "Ticket 5 tells of fault5."
    assert best["location"]["type"] == "WEB"
    assert best["location"]["webLocation"]["url"].startswith(f"{world.api.url}/tickets")
    records[0] = {**records[0], "body": "Ticket 1 is solved."}
    del records[6]
    assert counted(source.ingest()) == (0, 1, 1, 0)
    assert len(base.retrieve("Ticket")) == 6

    world.api.status = 500
    try:
        job = source.ingest("FAILED")
    finally:
        world.api.status = 200
    assert "HTTP status 500" in " ".join(job["failureReasons"])
    assert len(base.retrieve("Ticket")) == 6  # an API that fails has not lost its records


def test_an_api_that_the_operator_did_not_allow_is_refused(world: World) -> None:
    code, _, message = told(lambda: connector(world.aws.base(), "API", url="https://example.com/tickets"))
    assert code == "ValidationException"
    assert "'example.com' are not allowed" in message
