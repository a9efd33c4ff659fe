"""Text that comes in pieces is wrapped at words beside a line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from craton.lessons.showing import Gutter


def wrapped(pieces: list[str], columns: int = 20) -> str:
    out: list[str] = []
    gutter = Gutter(out.append, columns)
    for piece in pieces:
        gutter.feed(piece)
    gutter.flush()
    return "".join(out)


def test_every_line_has_its_gutter() -> None:
    assert wrapped(["one\n", "two three ", "four five six seven\n"]) == "│ one\n│ two three four five \n│ six seven\n"


def test_an_unfinished_line_is_ended() -> None:
    assert wrapped(["no new", "line"]) == "│ no newline\n"


def test_nothing_shows_nothing() -> None:
    assert wrapped([]) == ""


@given(st.text("ab \n", max_size=200), st.lists(st.integers(1, 5), max_size=50))
def test_how_it_is_cut_makes_no_difference(text: str, cuts: list[int]) -> None:
    pieces, rest = [], text
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    assert wrapped([*pieces, rest]) == wrapped([text])


@given(st.lists(st.text("abcdefg", min_size=1, max_size=20), min_size=1, max_size=30))
def test_no_word_is_lost_and_no_line_is_too_long(words: list[str]) -> None:
    lines = wrapped([" ".join(words)]).splitlines()
    assert [word for line in lines for word in line.removeprefix("│ ").split()] == words
    assert all(len(line.rstrip()) <= 22 for line in lines)
