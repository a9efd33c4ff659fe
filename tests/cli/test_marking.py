"""The numbers of the sources stand where the sentences end, however the answer comes in pieces."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from craton.cli.marking import Marking

ANSWER = "She was built in 1987. Her length is 46.5 metres. Nobody painted her."
SENTENCES = ((0, 22, "a"), (23, 49, "b"), (50, 69, ""))
SHOWN = "She was built in 1987. [1] Her length is 46.5 metres. [2] Nobody painted her. [?]"


def citation(start: int, end: int, uri: str) -> dict[str, Any]:
    references = [{"passage": {"location": {"uri": uri}}, "start": 0, "end": 1}] if uri else []
    return {"start": start, "end": end, "references": references}


def shown(pieces: list[str], late: int) -> tuple[str, Marking]:
    """late: how many characters of what follows a sentence have come when its citation does."""
    out: list[str] = []
    marking, said, cited = Marking(out.append), 0, 0
    for piece in pieces:
        marking.text(piece)
        said += len(piece)
        while cited < len(SENTENCES) and said >= SENTENCES[cited][1] + late:
            marking.citation(citation(*SENTENCES[cited]))
            cited += 1
    for rest in SENTENCES[cited:]:
        marking.citation(citation(*rest))
    marking.end()
    return "".join(out), marking


@given(st.lists(st.integers(1, 12), max_size=80), st.integers(0, 6))
def test_marks_stand_at_the_ends_however_late_they_come(cuts: list[int], late: int) -> None:
    pieces, rest = [], ANSWER
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    text, marking = shown([*pieces, rest], late)
    assert text == SHOWN
    assert marking.numbers == {"a": 1, "b": 2}
    assert (len(marking.citations), marking.unsupported) == (2, 1)


def test_a_sentence_is_shown_while_it_grows() -> None:
    out: list[str] = []
    marking = Marking(out.append)
    marking.text("She was built in ")
    assert "".join(out) == "She was built in "
    marking.text("1987. Her length")
    assert "".join(out) == "She was built in 1987."
    marking.citation(citation(*SENTENCES[0]))
    assert "".join(out) == "She was built in 1987. [1] Her length"


def test_what_is_never_cited_is_shown_in_the_end() -> None:
    out: list[str] = []
    marking = Marking(out.append)
    marking.text("One. Two. Three.")
    marking.end()
    assert "".join(out) == "One. Two. Three."
