"""Follow-ups: what leans on the turn before gets its telling words, what stands alone is left alone."""

from __future__ import annotations

import pytest

from craton.core.errors import InvalidRequest
from craton.knowledge.answering.rewriting import LONGEST, carry_over, check_rewriting, rewriting_prompt, rewritten
from craton.knowledge.sessions import Turn

TURNS = (Turn("Who built the Brightwell line?", "Who built the Brightwell line?", "Ann did."),)


@pytest.mark.parametrize("question", ["When did it open?", "And the trains?", "Why?", "What about its stations?"])
def test_what_leans_on_the_turn_before_is_completed(question: str) -> None:
    rewritten = carry_over(question, TURNS)
    assert rewritten.startswith(question)
    assert "Brightwell" in rewritten


@pytest.mark.parametrize(
    "question", ["How many hives does the island of Fenna have?", "Which fuel do steam engines burn?"]
)
def test_what_stands_alone_is_left_alone(question: str) -> None:
    assert carry_over(question, TURNS) == question


def test_without_a_turn_there_is_nothing_to_carry() -> None:
    assert carry_over("Why?", ()) == "Why?"


def test_words_that_are_there_already_are_not_repeated() -> None:
    assert carry_over("Is it a long line?", TURNS).lower().count("line") == 1


def test_names_come_first() -> None:
    assert carry_over("Why?", TURNS) == "Why? (Brightwell built line)"


@pytest.mark.parametrize("answer", ["", "Two\nlines", "x" * (LONGEST + 1), "..."])
def test_what_is_no_question_falls_back_to_the_rule(answer: str) -> None:
    assert rewritten(answer, "Why?", TURNS) == carry_over("Why?", TURNS)


def test_a_models_question_is_taken_without_its_quotes() -> None:
    assert rewritten('"When did the line open?"\n', "When?", TURNS) == "When did the line open?"


def test_a_rewriting_prompt_needs_a_place_for_the_question() -> None:
    text = rewriting_prompt("m", "Why?", TURNS).messages[0].text()
    assert "Who built the Brightwell line?" in text
    with pytest.raises(InvalidRequest):
        check_rewriting("no place")
