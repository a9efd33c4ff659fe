"""The nearest known word to one that is not known: a typo should cost one look, not a search."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

FEW = 12  # names that are listed when none is near


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "did you mean 'target'?", or what there is when nothing is near; "" when there is nothing, or too much."""
    names = sorted(known)
    by_folded = {name.casefold().replace("_", "-"): name for name in names}
    near = get_close_matches(word.casefold().replace("_", "-"), by_folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean {by_folded[near[0]]!r}?"
    return f"known are {', '.join(names)}" if 0 < len(names) <= FEW else ""


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """ "there is no metric 'roc_acu'; did you mean 'roc_auc'?"."""
    hint = did_you_mean(word, known)
    return f"there is no {what} {word[:80]!r}" + (f"; {hint}" if hint else "")
