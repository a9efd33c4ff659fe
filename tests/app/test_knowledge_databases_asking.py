"""Language to SQL through unmodified boto3: GenerateQuery, Retrieve and RetrieveAndGenerate over a real PostgreSQL.

The model writes what its script says: also what no model should."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import yaml

from craton.knowledge.structured.probe import QUESTIONS
from tests.app.asking import trace_of
from tests.app.knowing import ECHO, ROLE, Aws, Base, Json, fold, told
from tests.app.registering import Schema, new_schema
from tests.servers import RunningServer, serving

ARN = "arn:aws:redshift-serverless:us-east-1:123456789012:workgroup/sales"
OTHERS = "arn:aws:redshift-serverless:us-east-1:123456789012:workgroup/others"
NO_ANSWER = "The sources do not hold an answer to this question."
SHOP = """
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, city text, card text);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers (id), total numeric, placed date);
CREATE TABLE secrets (id int, word text);
INSERT INTO customers VALUES (1, 'Ada', 'Oslo', '4111'), (2, 'Bo', 'Rome', '4222'), (3, 'Cy', 'Oslo', '4333');
INSERT INTO orders VALUES (1, 1, 10.50, '2024-01-05'), (2, 1, 20, '2024-02-05'), (3, 2, 7.25, '2024-02-06');
INSERT INTO secrets VALUES (1, 'xyzzy');
"""
TOTALS = "What did each customer spend?"
TOTALS_SQL = """
SELECT c.name, sum(o.total) AS spent, count(*) > 1 AS often, min(c.city) FILTER (WHERE c.id = 1) AS where_from
FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name ORDER BY c.name"""
SOUND = {
    TOTALS: TOTALS_SQL,
    "How many customers have we?": "SELECT count(*) AS customers FROM customers",
    "Show me the first customer whole.": "SELECT c FROM customers AS c ORDER BY c.id LIMIT 1",
    "Who lives in Paris?": "SELECT name FROM customers WHERE city = 'Paris'",
}
HOSTILE = (
    "DROP TABLE orders",
    "DELETE FROM orders",
    "UPDATE orders SET total = 0",
    "SELECT 1; DROP TABLE orders",
    "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
    "SELECT * INTO stolen FROM customers",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_sleep(60)",
    "SELECT * FROM dblink('host=127.0.0.1', 'SELECT 1') AS t(a int)",
    "COPY customers TO PROGRAM 'id'",
    "COPY (SELECT 1) TO '/tmp/stolen'",
    "SELECT set_config('role', 'postgres', false)",
    "SET ROLE postgres",
    "DO $$ BEGIN EXECUTE 'DROP TABLE orders'; END $$",
    "SELECT word FROM secrets",
    "SELECT rolname FROM pg_catalog.pg_authid",
    "SELECT table_name FROM information_schema.tables",
    "SELECT card FROM customers",
    "SELECT row_to_json(c) FROM customers c",
    "SELECT current_setting('data_directory')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT 'secrets'::regclass",
    "SELECT query_to_xml('SELECT * FROM secrets', true, false, '')",
    "EXPLAIN ANALYZE SELECT 1",
    "LISTEN news",
    "not SQL at all",
    "",
)


def hostile_question(number: int) -> str:
    return f"Hostile question {number}, if you please"


@dataclass
class World:
    aws: Aws
    schema: Schema
    other: Aws
    """Of another tenant."""

    def base(self, register: str = ARN, aws: Aws | None = None, **context: Any) -> Base:
        given = new_sql_base(self.schema, register, **context)
        made = (aws or self.aws).agent.create_knowledge_base(**given)["knowledgeBase"]
        assert made["knowledgeBaseConfiguration"] == given["knowledgeBaseConfiguration"]
        return Base(aws or self.aws, made["knowledgeBaseId"])


def new_sql_base(schema: Schema, register: str, **context: Any) -> Json:
    """A knowledge base of the type SQL, as Redshift's are made. context: more of generationContext."""
    tables: list[Json] = [
        {
            "name": f"dev.{schema.name}.customers",
            "inclusion": "INCLUDE",
            "description": "people who bought something",
            "columns": [{"name": "card", "inclusion": "EXCLUDE"}],
        },
        {"name": f"dev.{schema.name}.orders", "inclusion": "INCLUDE"},
    ]
    return {
        "name": f"sql-{uuid4().hex[:12]}",
        "roleArn": ROLE,
        "knowledgeBaseConfiguration": {
            "type": "SQL",
            "sqlKnowledgeBaseConfiguration": {
                "type": "REDSHIFT",
                "redshiftConfiguration": {
                    "storageConfigurations": [{"type": "REDSHIFT", "redshiftConfiguration": {"databaseName": "dev"}}],
                    "queryEngineConfiguration": {
                        "type": "SERVERLESS",
                        "serverlessConfiguration": {"workgroupArn": register, "authConfiguration": {"type": "IAM"}},
                    },
                    "queryGenerationConfiguration": {"generationContext": {"tables": tables, **context}},
                },
            },
        },
    }


def script(known: Mapping[str, str]) -> str:
    """Answers each question with its SQL; what was refused is written again, as bad as before."""
    rules = [
        {"when": {"contains": f"Question: {question}"}, "reply": json.dumps({"sql": sql})}
        for question, sql in known.items()
    ]
    again = {"when": {"contains": "That cannot be used"}, "reply": json.dumps({"sql": "DROP TABLE orders"})}
    return yaml.safe_dump({"rules": [again, *rules]}, width=10_000)


def config(schema: Schema, weak: RunningServer) -> str:
    return f"""
[echo]
script = "replies.yaml"

[databases.sales]
url = "{schema.url()}"
arn = "{ARN}"
role = "{schema.reader}"
model = "echo"
tenants = ["default"]

[databases.others]
url = "{schema.url()}"
arn = "{OTHERS}"
role = "{schema.reader}"
model = "weak"

[databases.careless]
url = "{schema.url()}"
model = "echo"

[upstreams.weak]
wire = "openai"
base_url = "{weak.url}/v1"
credential = "weak"
models = {{ "weak" = "echo" }}
"""


@pytest.fixture(scope="module")
def world(postgres_server: str, server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("asking") / "home"
    home.mkdir()
    known = {question.question: question.sql for question in QUESTIONS} | SOUND
    known |= {hostile_question(number): sql for number, sql in enumerate(HOSTILE)}
    (home / "replies.yaml").write_text(script(known))
    with new_schema(postgres_server) as schema:
        schema.run(SHOP)
        schema.run(f"GRANT SELECT ON customers, orders TO {schema.reader}")
        with serving(home, config=config(schema, server)) as running:
            running.craton("keys", "credential", "set", "weak", stdin=server.token)
            running.craton("keys", "tenants", "create", "umbrella")
            made = running.craton("keys", "create", "--role", "developer", "--tenant", "umbrella", "--json").stdout
            yield World(Aws(running), schema, Aws(running, json.loads(made)["token"]))


def generate(base: Base, question: str) -> Json:
    arn = base.aws.agent.get_knowledge_base(knowledgeBaseId=base.id)["knowledgeBase"]["knowledgeBaseArn"]
    answer: Json = base.aws.runtime.generate_query(
        queryGenerationInput={"type": "TEXT", "text": question},
        transformationConfiguration={
            "mode": "TEXT_TO_SQL",
            "textToSqlConfiguration": {
                "type": "KNOWLEDGE_BASE",
                "knowledgeBaseConfiguration": {"knowledgeBaseArn": arn},
            },
        },
    )
    return answer


@pytest.fixture(scope="module")
def measured(world: World) -> World:
    """Its model passed the probe; until then it is refused, and told how it could be."""
    base = world.base()
    for call in (lambda: generate(base, TOTALS), lambda: base.retrieve(TOTALS), lambda: base.ask(TOTALS, ECHO)):
        code, status, message = told(call)
        assert (code, status) == ("ValidationException", 400)
        assert "was not measured" in message
        assert "craton evaluate sql echo --database sales" in message
    figures = json.loads(
        world.aws.server.craton("evaluate", "sql", "echo", "--database", "sales", "--everybody", "--json").stdout
    )
    assert figures["right"] == figures["questions"] == len(QUESTIONS)
    assert figures["passes"]
    return world


@pytest.fixture(scope="module")
def base(measured: World) -> Base:
    return measured.base()


def test_a_query_is_written_and_told_but_not_run(base: Base, measured: World) -> None:
    (query,) = generate(base, TOTALS)["queries"]
    assert query["type"] == "REDSHIFT_SQL"
    assert f'"{measured.schema.name}"."customers"' in query["sql"]
    names = [row[0] for row in measured.schema.rows(query["sql"])]  # it can be run elsewhere
    assert names == ["Ada", "Bo"]


def test_rows_are_retrieved_with_their_query(base: Base) -> None:
    first, second = base.retrieve(TOTALS)
    assert first["content"]["type"] == "ROW"
    assert first["content"]["row"] == [
        {"columnName": "name", "columnValue": "Ada", "type": "STRING"},
        {"columnName": "spent", "columnValue": "30.5", "type": "DOUBLE"},
        {"columnName": "often", "columnValue": "true", "type": "BOOLEAN"},
        {"columnName": "where_from", "columnValue": "Oslo", "type": "STRING"},
    ]
    assert second["content"]["row"][3] == {"columnName": "where_from", "columnValue": "", "type": "NULL"}
    assert first["location"]["type"] == "SQL"
    query = first["location"]["sqlLocation"]["query"]
    assert "SUM(" in query
    assert query == second["location"]["sqlLocation"]["query"]
    assert len(base.retrieve(TOTALS, top=1)) == 1
    assert base.retrieve("Who lives in Paris?") == []


def test_an_answer_tells_the_rows_and_cites_each_with_its_query(base: Base) -> None:
    answer = base.ask(TOTALS, ECHO)
    text = answer["output"]["text"]
    assert text == "name: Ada\nspent: 30.5\noften: true\nwhere_from: Oslo\n\nname: Bo\nspent: 7.25\noften: false"
    assert len(answer["citations"]) == 2
    for citation in answer["citations"]:
        part = citation["generatedResponsePart"]["textResponsePart"]
        assert text[part["span"]["start"] : part["span"]["end"] + 1] == part["text"]
        (reference,) = citation["retrievedReferences"]
        assert reference["content"]["type"] == "ROW"
        assert f"name: {reference['content']['row'][0]['columnValue']}" in part["text"]
        assert "SELECT" in reference["location"]["sqlLocation"]["query"]
        assert reference["metadata"]["x-craton-answer"] == "extractive"
    streamed = base.aws.runtime.retrieve_and_generate_stream(**base.question(TOTALS, ECHO))
    assert fold(streamed["stream"]) == {"text": text, "citations": answer["citations"]}
    assert base.ask("How many customers have we?", ECHO)["output"]["text"] == "customers: 3"
    assert base.ask("Who lives in Paris?", ECHO)["output"]["text"] == NO_ANSWER


@pytest.mark.parametrize("number", range(len(HOSTILE)), ids=lambda number: HOSTILE[number][:40] or "nothing")
def test_a_hostile_statement_does_not_run(base: Base, measured: World, number: int) -> None:
    before = everything(measured.schema)
    question = hostile_question(number)
    for call in (lambda: base.retrieve(question), lambda: generate(base, question)):
        code, status, message = told(call)
        assert (code, status) == ("ValidationException", 400)
        assert "the query may not run: only SELECT is allowed" in message  # what the second try was, too
    assert everything(measured.schema) == before


def everything(schema: Schema) -> list[object]:
    tables = schema.tables()
    return [tables, *(schema.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables)]


def test_a_whole_row_is_what_may_be_seen_of_it(base: Base) -> None:
    (found,) = base.retrieve("Show me the first customer whole.")
    (column,) = found["content"]["row"]
    assert "Ada" in column["columnValue"]
    assert "4111" not in json.dumps(found)


def told_to_the_model(base: Base) -> str:
    """The prompt that asked for SQL, as the trace keeps it."""
    answer = base.page(TOTALS)
    with base.aws.server.client() as client:
        return json.dumps(trace_of(client, f"{answer['ResponseMetadata']['RequestId']}.sql")["request"])


def test_what_is_hidden_is_not_even_shown_to_the_model(base: Base) -> None:
    shown = told_to_the_model(base)
    assert "people who bought something" in shown
    assert "card" not in shown
    assert "secrets" not in shown


def test_a_model_that_failed_the_probe_is_refused(measured: World) -> None:
    failed = measured.aws.server.craton("evaluate", "sql", "weak", "--database", "others", "--json", "--everybody")
    assert json.loads(failed.stdout)["passes"] is False
    base = measured.base(OTHERS)
    code, _, message = told(lambda: base.retrieve(TOTALS))
    assert code == "ValidationException"
    assert f"got 0 of {len(QUESTIONS)} questions right" in message
    assert "craton evaluate sql MODEL --database others" in message


@pytest.mark.parametrize(
    ("model", "database", "reason"),
    [
        ("echo", "absent", "There is no database 'absent'. The operator registers databases in config.toml"),
        ("absent", "sales", "There is no model 'absent'."),
        ("echo", "careless", "a role that may only read"),
    ],
)
def test_what_cannot_be_measured_is_told(world: World, model: str, database: str, reason: str) -> None:
    done = world.aws.server.craton("evaluate", "sql", model, "--database", database, check=False)
    assert done.returncode != 0
    assert reason in " ".join(done.stderr.split())


def test_a_role_that_could_write_is_not_asked_at_all(measured: World) -> None:
    base = measured.base("careless")
    code, _, message = told(lambda: base.retrieve(TOTALS))
    assert code == "ValidationException"
    assert "[databases.careless] a role that may only read" in message


def test_another_tenants_database_is_refused(measured: World) -> None:
    for register in (ARN, "sales", "absent"):
        code, status, message = told(lambda register=register: measured.base(register, measured.other))  # type: ignore[misc]
        assert (code, status) == ("ValidationException", 400)
        assert f"There is no database '{register}'." in message
        assert "[databases.NAME]" in message
    foreign = measured.base()
    absent = told(lambda: Base(measured.other, foreign.id).retrieve(TOTALS))
    assert absent[0] == "ResourceNotFoundException"
    source = told(lambda: sql_source(measured.other))
    assert source[0] in {"ValidationException", "ResourceNotFoundException"}
    assert "There is no database 'sales'." in source[2]


def sql_source(aws: Aws) -> None:
    parameters = {"type": "SQL", "database": "sales", "table": "customers"}
    aws.base().source(
        {
            "type": "MANAGED_KNOWLEDGE_BASE_CONNECTOR",
            "managedKnowledgeBaseConnectorConfiguration": {"connectorParameters": parameters},
        }
    )


def test_curated_queries_reach_the_model(measured: World) -> None:
    base = measured.base(curatedQueries=[{"naturalLanguage": "Who is first?", "sql": "SELECT name FROM customers"}])
    assert "Who is first?" in told_to_the_model(base)


def test_what_a_base_over_sql_has_not_is_refused(base: Base) -> None:
    agent = base.aws.agent
    with pytest.raises(agent.exceptions.ValidationException, match="no data sources"):
        base.source({"type": "CUSTOM"})
    assert told(lambda: base.retrieve(TOTALS, overrideSearchType="HYBRID"))[0] == "ValidationException"
    narrow = {"equals": {"key": "a", "value": "b"}}
    assert told(lambda: base.retrieve(TOTALS, filter=narrow))[0] == "ValidationException"
