# ruff: noqa: RUF001

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given

from craton.data.chunking.sentences import sentence_spans
from tests.data.chunking.texts import texts, uncovered


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@given(texts)
def test_spans_are_in_order_do_not_overlap_and_leave_nothing_out(text: str) -> None:
    spans = sentence_spans(text)
    assert all(start < end for start, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert uncovered(text, spans) == ""
    assert all(text[start:end] == text[start:end].strip() for start, end in spans)


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith et al. (2010) used 3.5 mg of J. R. Tolkien's pills, e.g. Aspirin, vs. none.",
        "See Fig. 3 and No. 5 of vol. 2, p. 17, of Jan. 5.",
        '"Why?" he asked.',
        "He served in the U.S. Army.",
        "Wait... what did you say?",
        "1. Open the door.",
    ],
)
def test_dots_that_end_no_sentence_do_not_cut(text: str) -> None:
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It was Jim. He left at 5 p.m. The end came in 2010. 12 were there!", 4),
        ("He said no. Then he left.", 2),
        ("We saw vitamin C. The rest is known.[12] Next comes this.", 3),
        ('She said "stop." Then (quietly.) It ended.', 3),
        ("no capitals here. none at all. fine.", 3),
        ("今日は。元気ですか？はい。", 3),
        ("यह है। वह है।", 2),
        ("# A title. With a dot\nText goes on. More text.", 3),
        ("- one\n- two\n- three", 3),
        ("name: Anna\nage: 3", 2),
        ("| a. B | c |\n| --- | --- |\n| d | e |", 3),
        ("```\nx = 1. \ny = 2. Z\n```", 1),
        ("2026-01-01 it started on a machine of ours and went\n2026-01-02 it ended after a very long time indeed", 2),
    ],
)
def test_sentences_end_where_they_do(text: str, parts: int) -> None:
    assert len(sentences(text)) == parts


def test_a_colon_in_a_wrapped_sentence_begins_no_new_one() -> None:
    text = "The directory asks each of its sources for what has the\nname: those are built in, and the hub."
    assert sentences(text) == [text]


def test_a_sentence_goes_on_over_a_line_that_was_full() -> None:
    assert sentences("This line is as long as the page is wide, and so\nit goes on in the next. Here is more.") == [
        "This line is as long as the page is wide, and so\nit goes on in the next.",
        "Here is more.",
    ]


@pytest.mark.parametrize("part", [".", ". ( ", "a. ", "((((", "word ", "\n", "`" * 5 + "\n", "1. ", "|", "# "])
def test_time_grows_with_the_text_and_no_faster(part: str) -> None:
    started = time.process_time()
    sentence_spans(part * (300_000 // len(part)))
    assert time.process_time() - started < 10  # a second here; hours if it were quadratic
