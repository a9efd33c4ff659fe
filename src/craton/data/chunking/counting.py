"""How many tokens a text takes: by the embedder's own tokenizer, or estimated where it is not here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from craton.core.errors import Damaged, InvalidRequest

_MAX_FILE = 64 << 20
_SLICE = 1 << 20  # characters that are tokenized at a time


class Counter(Protocol):
    @property
    def version(self) -> str:
        """Changes whenever a text may get another count."""
        ...

    @property
    def room(self) -> int:
        """A text of at most so many tokens is read whole by the embedder."""
        ...

    @property
    def usual(self) -> int:
        """A text of so many tokens, as they are counted here, is usually read whole; never less than `room`."""
        ...

    @property
    def adds_up(self) -> bool:
        """Whether the count of "a b" is exactly the count of "a" and of "b" together."""
        ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Without special tokens."""
        ...


class TokenCounter:
    """Exact. Thread-safe: nothing changes after it is made."""

    def __init__(self, tokenizer: Path, window: int, *, lower_case: bool = False) -> None:
        """tokenizer: a tokenizer.json. window: the tokens that the embedder reads, special ones included. lower_case:
        the embedder lowers texts before it tokenizes them. Raises Damaged, InvalidRequest for a window too small."""
        from tokenizers import Tokenizer  # not needed where tokens are estimated: the server

        if tokenizer.stat().st_size > _MAX_FILE:
            raise Damaged(tokenizer.name, "it is too large to be a tokenizer")
        content = tokenizer.read_bytes()
        try:
            self._tokenizer = Tokenizer.from_buffer(content)
        except Exception as error:  # the package raises bare Exception
            raise Damaged(tokenizer.name, str(error)) from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._lower_case = lower_case
        self.room = window - self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if self.room < 1:
            raise InvalidRequest(f"no text fits a window of {window} tokens", "window")
        self.usual = self.room
        self.version = f"{hashlib.sha256(content).hexdigest()[:16]}/{window}" + ("/lower" if lower_case else "")
        self.adds_up = _splits_at_space(content)

    def count(self, texts: Sequence[str]) -> list[int]:
        counts: list[int] = []
        for part in _slices(texts):
            lowered = [text.lower() for text in part] if self._lower_case else list(part)
            encodings = self._tokenizer.encode_batch_fast(lowered, add_special_tokens=False)
            counts += [len(encoding) for encoding in encodings]
        return counts


class EstimatingCounter:
    """For embedders behind an API: three ASCII characters, or two bytes of UTF-8 beyond ASCII, are taken for a token.

    That is more tokens than they count for prose (English has more than four characters to a token), so chunks come out
    smaller than asked for rather than larger. `room` is what fits for certain: no token is shorter than a byte in
    vocabularies that can spell every text, and an estimated token is never more than three bytes.
    """

    adds_up = False  # the white space between two texts counts

    def __init__(self, window: int) -> None:
        """window: tokens. Raises InvalidRequest when it is too small to promise anything."""
        self.room = (window - 4) // 3  # four: special tokens, and a space that a tokenizer may put in front
        self.usual = max(self.room, window - 4)  # prose takes fewer tokens than are estimated
        self.version = f"estimate-1/{window}"
        if self.room < 1:
            raise InvalidRequest(f"no text fits a window of {window} tokens for certain", "window")

    def count(self, texts: Sequence[str]) -> list[int]:
        return [_estimate(text) for text in texts]


def _estimate(text: str) -> int:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size == len(text):
        return -(-size // 3)
    ascii_size = sum(character < "\x80" for character in text)
    return -(-ascii_size // 3) + -(-(size - ascii_size) // 2)


def _slices(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """So that the encodings of a large document are never all in memory."""
    start = size = 0
    for index, text in enumerate(texts):
        if index > start and size + len(text) > _SLICE:
            yield texts[start:index]
            start, size = index, 0
        size += len(text)
    yield texts[start:]


class _Typed(msgspec.Struct):
    type: str = ""


class _Described(msgspec.Struct):
    model: _Typed
    normalizer: _Typed | None = None
    pre_tokenizer: _Typed | None = None


def _splits_at_space(content: bytes) -> bool:
    """WordPiece after BERT's own splitting never sees across white space: then counts add up."""
    try:
        described = msgspec.json.decode(content, type=_Described)
    except msgspec.MsgspecError:
        return False
    return (
        described.model.type == "WordPiece"
        and described.normalizer in (None, _Typed("BertNormalizer"))
        and described.pre_tokenizer == _Typed("BertPreTokenizer")
    )
