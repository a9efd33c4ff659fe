"""The bar: figures on a probe small enough to score by hand, kept with the revision, seen by whom they concern."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from craton.core.access import SHARED_TENANT
from craton.core.model import ModelInfo
from craton.knowledge.proficiency import (
    CONTAINED,
    Proficiencies,
    Proficiency,
    Question,
    contains,
    load_probe,
    measure_proficiency,
    plain,
    score,
)
from craton.store.database import Database
from tests.knowledge.answering.world import World, call
from tests.migrated import upgrade

pytestmark = pytest.mark.anyio

INFO = ModelInfo(id="m", verbs=("chat",), engine="echo", revision="r1")
GOOD = Proficiency("m", "r1", 0.0, 0.5, 0.9, 0.8, 0.1, 60)


def test_shares_are_what_one_counts_by_hand() -> None:
    asked = [
        Question("a", ("Ann Lee",)),
        Question("b", ("6", "six")),
        Question("c", ("x",)),
        Question("d"),
        Question("e"),
    ]
    said = ["ann lee.", "There are six cars.", "I cannot find it.", "The sources do not say.", "Blue."]
    figures = score(INFO, 5.0, "1", asked, said)
    assert (figures.exact, figures.contained) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert (figures.refused, figures.wrongly_refused) == (0.5, pytest.approx(1 / 3))
    assert (figures.model, figures.revision, figures.questions) == ("m", "r1", 5)


def test_answers_are_compared_without_case_articles_and_punctuation() -> None:
    assert plain("The  Pager, and a Wallboard!") == "pager and wallboard"
    assert contains("It was Ann.", "ann")
    assert not contains("It was Anna.", "ann")


def test_the_bar_asks_for_right_answers_and_for_refusals() -> None:
    assert GOOD.generates
    assert not replace(GOOD, contained=CONTAINED - 0.01).generates
    assert not replace(GOOD, refused=0.1).generates
    assert not replace(GOOD, wrongly_refused=0.5).generates


def test_the_probe_is_what_its_description_says() -> None:
    probe = load_probe()
    asked = probe.asked()
    assert len([question for question, _ in asked if question.answers]) == 40
    assert len([question for question, _ in asked if not question.answers]) == 20
    for question, number in asked:
        assert not question.answers or any(contains(probe.texts[number].text, answer) for answer in question.answers)


async def test_figures_are_found_by_revision_and_by_tenant(database: Database) -> None:
    upgrade(database)
    kept = Proficiencies(database)
    await kept.put("acme", GOOD)
    assert await kept.get("acme", INFO) == GOOD
    assert await kept.get("other", INFO) is None
    assert await kept.get("acme", replace(INFO, revision="r2")) is None
    assert await kept.get("acme", replace(INFO, id="n")) is None
    await kept.put(SHARED_TENANT, replace(GOOD, contained=0.1))
    assert (await kept.get("other", INFO)) == replace(GOOD, contained=0.1)
    assert await kept.get("acme", INFO) == GOOD
    await kept.put("acme", replace(GOOD, contained=0.7))
    assert await kept.get("acme", INFO) == replace(GOOD, contained=0.7)


async def test_measuring_asks_every_question_with_its_text(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "craton.db")
    world = World(database, "rules:\n  - reply: The sources do not hold an answer to this question.\n")
    seen: list[tuple[int, int]] = []
    figures = await measure_proficiency(
        world.serving, call(), "writer", world.clock, progress=lambda done, total: seen.append((done, total))
    )
    assert (figures.refused, figures.wrongly_refused, figures.contained) == (1.0, 1.0, 0.0)
    assert not figures.generates
    assert seen[-1] == (60, 60)
    probe = load_probe()
    for request, (question, number) in zip(world.records.chats(), probe.asked(), strict=True):
        prompt = request.messages[0].text()
        assert question.question in prompt
        assert probe.texts[number].text in prompt
    database.close()
