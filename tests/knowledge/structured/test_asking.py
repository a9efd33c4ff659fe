"""Questions to a real PostgreSQL through a scripted model: written, checked, run, cited, or refused."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from craton.core.access import Caller, KeyRole
from craton.core.errors import InvalidRequest, NotFound, Unsupported
from craton.core.knowledge import Compare, Reranking, RetrieveRequest
from craton.knowledge.structured.options import read_structured
from craton.knowledge.structured.probe import QUESTIONS
from craton.knowledge.structured.proficiency import BAR
from tests.data.sql.conftest import Shop
from tests.knowledge.structured.conftest import CALL, PROBE, Make, Passed, Serving, answers

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]

QUESTION = "What did Ada buy?"
SQL = "SELECT o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.name = 'Ada' ORDER BY 1"


def able(**known: str) -> Serving:
    return Serving(answers({**PROBE, QUESTION: SQL, **known}))


async def test_the_probes_own_answers_are_all_right(make: Make) -> None:
    measured = await make(able()).measure()
    assert (measured.questions, measured.right) == (20, 20)
    assert measured.passes


async def test_a_model_that_was_not_measured_is_refused(make: Make) -> None:
    structured = make(able())
    for call in (structured.generate(QUESTION), structured.retrieve(RetrieveRequest("KB", QUESTION))):
        with pytest.raises(Unsupported, match="was not measured"):
            await call
    with pytest.raises(Unsupported, match="without a model"):
        await make(able(), model="").generate(QUESTION)


@pytest.mark.parametrize("right", [0, 11, 12])
async def test_a_model_below_the_bar_is_refused_and_one_at_it_is_not(make: Make, right: int) -> None:
    known = {question.question: question.sql for question in QUESTIONS[:right]}
    serving = Serving(answers({**known, QUESTION: SQL}))
    structured = make(serving)
    measured = await structured.measure()
    assert measured.right == right
    if right / 20 >= BAR:
        assert (await structured.generate(QUESTION)).model == "m"
        return
    with pytest.raises(Unsupported, match=f"got {right} of 20 questions right"):
        await structured.generate(QUESTION)


async def test_another_revision_of_a_model_is_another_model(passed: Passed, make: Make) -> None:
    serving = able()
    structured = make(serving)
    await passed()
    serving.revision = "r2"
    with pytest.raises(Unsupported, match="was not measured"):
        await structured.generate(QUESTION)


async def test_a_wrong_answer_is_not_right_though_it_runs(make: Make) -> None:
    wrong = dict.fromkeys(PROBE, "SELECT count(*) FROM orders")
    assert (await make(Serving(answers(wrong))).measure()).right == 0


async def test_a_generated_query_is_the_checked_one(passed: Passed, make: Make, shop: Shop) -> None:
    structured = make(able())
    await passed()
    generated = await structured.generate(QUESTION)
    assert f'FROM "{shop.schema}"."customers" AS "c"' in generated.sql
    assert generated.tables == (f"{shop.schema}.customers", f"{shop.schema}.orders")


async def test_rows_are_passages_with_their_query(passed: Passed, make: Make) -> None:
    structured = make(able())
    await passed()
    found = await structured.retrieve(RetrieveRequest("KB", QUESTION, top=10))
    assert [passage.row for passage in found.passages] == [{"total": 10.5}, {"total": 20}]
    first = found.passages[0]
    assert (first.text, first.score, first.location.kind) == ("total: 10.5", 1.0, "sql")
    assert found.queries == (first.query,)
    assert first.query.endswith("ORDER BY 1 LIMIT 10")
    assert len({passage.document for passage in found.passages}) == 2
    assert len((await structured.retrieve(RetrieveRequest("KB", QUESTION, top=1))).passages) == 1


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("DELETE FROM orders", "only SELECT is allowed"),
        ("SELECT word FROM secrets", "no table"),
        ("SELECT card FROM customers", "card"),
        ("SELECT wrong FROM customers", "wrong"),
        ("", "found no query"),
    ],
)
async def test_what_may_not_run_is_told_to_the_model_once_and_then_refused(
    passed: Passed, make: Make, shop: Shop, sql: str, reason: str
) -> None:
    serving = able(**{"Do it": sql})
    structured = make(serving, hidden=[f"{shop.schema}.customers.card"])
    await passed()
    serving.asked.clear()
    serving.script = answers({"Do it": sql})
    with pytest.raises(InvalidRequest):
        await structured.retrieve(RetrieveRequest("KB", "Do it"))
    assert len(serving.asked) == 2
    assert reason in serving.asked[1].messages[-1].text()
    assert "card text" not in serving.asked[0].messages[0].text()


async def test_a_second_try_that_is_right_is_taken(passed: Passed, make: Make) -> None:
    serving = able()
    structured = make(serving)
    await passed()
    serving.script = (
        f"rules: [{{when: {{contains: That cannot be used}}, reply: {json.dumps(json.dumps({'sql': SQL}))}}}, "
        f"{{reply: {json.dumps(json.dumps({'sql': 'SELECT nonsense FROM orders'}))}}}]"
    )
    found = await structured.retrieve(RetrieveRequest("KB", QUESTION))
    assert len(found.passages) == 2


async def test_the_model_sees_tables_descriptions_values_and_examples(passed: Passed, make: Make, shop: Shop) -> None:
    serving = able()
    structured = make(
        serving,
        descriptions={f"{shop.schema}.orders.total": "in crowns"},
        curated=[{"question": "How many?", "sql": "SELECT count(*) FROM orders"}],
    )
    await passed()
    await structured.generate(QUESTION)
    text = serving.asked[-1].messages[0].text()
    for part in ("people who bought something", "in crowns", "'Oslo'", "Question: How many?", "refers to"):
        assert part in text
    assert "secrets" not in text


async def test_what_rows_have_not_is_refused(make: Make) -> None:
    structured = make(able())
    request = RetrieveRequest("KB", QUESTION)
    for refused in (
        replace(request, filter=Compare("equals", "a", "b")),
        replace(request, reranking=Reranking("m")),
        replace(request, mode="semantic"),
        replace(request, decompose=True),
    ):
        with pytest.raises(Unsupported):
            await structured.retrieve(refused)
    for bad in (replace(request, top=0), replace(request, top=101), replace(request, cursor="x")):
        with pytest.raises(InvalidRequest):
            await structured.retrieve(bad)


async def test_another_tenants_database_is_not_there(passed: Passed, make: Make) -> None:
    asked = make(able())
    await passed()
    foreign = replace(CALL, caller=Caller("umbrella", "KEY", KeyRole.DEVELOPER))
    with pytest.raises(NotFound):
        await asked.structured.generate(foreign, replace(asked.base, tenant="umbrella"), QUESTION)


async def test_the_operator_can_measure_for_everybody(make: Make) -> None:
    structured = make(able())
    await structured.measure("shared")
    assert (await structured.generate(QUESTION)).model == "m"


async def test_a_knowledge_base_of_documents_is_not_asked_for_sql(make: Make) -> None:
    base = make(able()).base
    with pytest.raises(Unsupported):
        read_structured(replace(base, kind="vector"))
    for storage in ({}, {"register": "shop", "structured": {"strange": 1}}, {"register": "shop", "structured": []}):
        with pytest.raises(InvalidRequest):
            read_structured(replace(base, storage=storage))
