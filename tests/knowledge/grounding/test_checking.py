"""A sentence is supported when its numbers, names and words stand in a span; a changed fact is not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from craton.data.chunking.sentences import sentence_spans
from craton.knowledge.grounding.checking import MAX_COMPARED, MAX_REFERENCES, Grounding
from craton.knowledge.proficiency import load_probe
from tests.knowledge.answering.world import FERRY, FOUND, KEYS, passage

pytestmark = pytest.mark.anyio

QUESTION = "How much is a ferry ticket?"


async def far(_sentence: str, spans: Sequence[str]) -> list[float]:
    return [0.0] * len(spans)


async def near(_sentence: str, spans: Sequence[str]) -> list[float]:
    assert len(spans) <= MAX_COMPARED
    return [1.0] * len(spans)


@pytest.mark.parametrize(
    "sentence",
    [
        "A single ticket costs 3.20 crowns.",
        "Tickets are sold on board and cost 3.20 crowns.",
        "The ferry's boats were built in Lindhaven in 1987.",
        "The Harbour ferry leaves every 40 minutes.",
    ],
)
async def test_what_the_source_says_is_supported(sentence: str) -> None:
    references = await Grounding(QUESTION, FOUND, far).check(sentence)
    assert references
    assert references[0].passage.document == "ferry"


@pytest.mark.parametrize(
    "sentence",
    [
        "A single ticket costs 4.20 crowns.",
        "A single ticket does not cost 3.20 crowns.",
        "The boats were built in Marlow in 1987.",
        "The boats were built in Lindhaven in 1988.",
        "Bicycles pay double in winter.",
        "Dragons guard the tower.",
        "Yes.",
        "",
    ],
)
async def test_a_changed_or_invented_fact_is_not_supported_whatever_it_is_near_to(sentence: str) -> None:
    assert await Grounding(QUESTION, FOUND, near).check(sentence) == ()


async def test_a_count_that_the_question_brought_may_be_repeated_but_no_date() -> None:
    assert await Grounding("Which two things does a ticket do?", FOUND, far).check(
        "Two single tickets cost 3.20 crowns."
    )
    assert not await Grounding("Was it built in 1999?", FOUND, near).check("The boats were built in Lindhaven in 1999.")


async def test_meaning_decides_where_words_do_not() -> None:
    said = "Quarterly the clerk swaps old secrets of the gateway."
    assert await Grounding("What happens?", FOUND, far).check(said) == ()
    assert await Grounding("What happens?", FOUND, near).check(said)


async def test_a_fact_spread_over_two_sentences_is_cited_as_both() -> None:
    said = "Bicycles travel free and the boats were built in Lindhaven in 1987."
    (reference,) = await Grounding("bicycles boats", FOUND, far).check(said)
    cited = FERRY[reference.start : reference.end]
    assert cited.startswith("Bicycles")
    assert cited.endswith("1987.")


async def test_two_documents_that_say_the_same_are_both_cited() -> None:
    copies = [passage(KEYS, document=f"d{number}") for number in range(4)]
    references = await Grounding("Who rotates keys?", copies, far).check(KEYS.split(". ")[0] + ".")
    assert len(references) == MAX_REFERENCES
    assert len({reference.passage.document for reference in references}) == MAX_REFERENCES


async def test_a_short_answer_points_to_a_span_about_the_question() -> None:
    passages = [passage("Lindhaven has a market.", document="market"), *FOUND]
    references = await Grounding("Where were the boats of the ferry built?", passages, far).check("Lindhaven.")
    assert [reference.passage.document for reference in references] == ["ferry"]


TEXTS = [text.text for text in load_probe().texts]


@given(st.sampled_from(TEXTS), st.sampled_from(TEXTS), st.data())
@settings(max_examples=40)
async def test_every_sentence_of_a_source_is_supported_by_itself(one: str, other: str, data: st.DataObject) -> None:
    passages = [passage(other, document="other"), passage(one, document="one")]
    start, end = data.draw(st.sampled_from(sentence_spans(one)))
    references = await Grounding("", passages, far).check(one[start:end])
    assert references
    for reference in references:
        assert 0 <= reference.start < reference.end <= len(reference.passage.text)
    assert any(one[start:end] in reference.passage.text[reference.start : reference.end] for reference in references)
