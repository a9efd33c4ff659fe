"""Texts as numbers, by the words or characters of the training rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

Tokens = Literal["words", "characters"]
PADDING, UNKNOWN, FIRST = 0, 1, 2
"""The numbers of nothing, of a token that is not in the vocabulary, and of the vocabulary's first."""

_WORD = re.compile(r"\w+|[^\w\s]")


def cut(text: Any, tokens: Tokens) -> list[str]:
    """Of a missing text: nothing. Case does not count."""
    if not isinstance(text, str):
        return []
    return _WORD.findall(text.lower()) if tokens == "words" else list(text.lower())


def gather(texts: Iterable[Any], tokens: Tokens, size: int) -> tuple[str, ...]:
    """The most frequent tokens, equally frequent ones by their letters."""
    counts = Counter(token for text in texts for token in cut(text, tokens))
    found = sorted(counts, key=lambda token: (-counts[token], token))
    return tuple(found[: max(0, size - FIRST)])


def numbers(
    texts: Sequence[Any], vocabulary: Sequence[str], tokens: Tokens, length: int
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], int]:
    """Shape (texts, length), padded behind; and how many texts were longer, of which the rest is left out."""
    import numpy as np

    places = {token: place for place, token in enumerate(vocabulary, FIRST)}
    found = np.zeros((len(texts), length), np.int64)
    longer = 0
    for row, text in enumerate(texts):
        all_tokens = cut(text, tokens)
        longer += len(all_tokens) > length
        for column, token in enumerate(all_tokens[:length]):
            found[row, column] = places.get(token, UNKNOWN)
    return found, longer
