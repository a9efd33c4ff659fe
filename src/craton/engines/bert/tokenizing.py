"""Texts to the token ids that the encoder reads, special tokens included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from craton.core.errors import ContextExceeded, Damaged, InvalidRequest, TooLarge, Unsupported
from craton.engines.bert.arrays import Ids
from craton.engines.bert.config import BertConfig

MAX_TEXT = 1 << 20
"""Characters of one input: far beyond any window, and still counted exactly for the error."""

_FILE = "tokenizer.json"
_MAX_FILE = 64 << 20
_SLICE_CHARACTERS = 1 << 16
_SLICE_INPUTS = 64


class BertTokenizer:
    """Encodes inputs for one model. Thread-safe: nothing changes after it is made."""

    def __init__(self, tokenizer: Tokenizer, config: BertConfig, model: str) -> None:
        """Raises Damaged when the tokenizer makes ids that the model has no row for."""
        tokenizer.no_truncation()  # the window is checked here, with both numbers
        tokenizer.no_padding()
        self._tokenizer, self._config, self._model = tokenizer, config, model
        self._before, self._after = _special(tokenizer)
        self._room = config.window - len(self._before) - len(self._after)
        ids = tokenizer.get_vocab(with_added_tokens=True).values()
        if max(ids, default=0) >= config.vocabulary:
            raise Damaged(_FILE, f"it has the token id {max(ids)}, the model knows {config.vocabulary}")
        if self._room < 1:
            raise Damaged(_FILE, f"its special tokens fill the model's window of {config.window}")

    @classmethod
    def load(cls, files: dict[str, str], config: BertConfig, model: str) -> BertTokenizer:
        """Raises Unsupported without a tokenizer.json, Damaged for one that cannot be read."""
        if _FILE not in files:
            raise Unsupported(f"An embedding model without {_FILE}")
        path = Path(files[_FILE])
        if path.stat().st_size > _MAX_FILE:
            raise Damaged(_FILE, "it is too large to be a tokenizer")
        try:
            tokenizer = Tokenizer.from_buffer(path.read_bytes())
        except Exception as error:  # the package raises bare Exception
            raise Damaged(_FILE, str(error)) from None
        return cls(tokenizer, config, model)

    @property
    def tokens(self) -> Tokenizer:
        """For what looks at single tokens."""
        return self._tokenizer

    def written(self, row: Sequence[int]) -> str:
        """A row's text, without what stands around every text."""
        return str(self._tokenizer.decode(list(row[len(self._before) : len(row) - len(self._after)])))

    def encode(self, inputs: Sequence[str | tuple[int, ...]], first: int, truncate: bool) -> list[Ids]:
        """inputs -> ids with the special tokens around them; first: the index of inputs[0], for errors.

        Token ids are those of the text alone, as in OpenAI's API. Raises ContextExceeded for an input longer than the
        window unless `truncate`, InvalidRequest for empty inputs and unknown ids, TooLarge.
        """
        return [self._encode(value, f"inputs[{first + i}]", truncate) for i, value in enumerate(inputs)]

    def encode_pairs(self, pairs: Sequence[tuple[str, str]], first: int, truncate: bool) -> list[Ids]:
        """Two texts in one row each, as the model's own template joins them. The tokens that the template
        gives the type 1 are told as their complement (~id). Only the second text is cut. Raises as `encode`."""
        return [self._encode_pair(pair, f"inputs[{first + i}]", truncate) for i, pair in enumerate(pairs)]

    def _encode_pair(self, pair: tuple[str, str], field: str, truncate: bool) -> Ids:
        for text in pair:
            if not text:
                raise InvalidRequest("An input must not be empty.", field)
            if len(text) > MAX_TEXT:
                raise TooLarge(field, MAX_TEXT, len(text), "characters")
        one, other = (text.lower() for text in pair) if self._config.lower_case else pair
        try:
            found = self._tokenizer.encode_batch([(one, other)])[0]
        except (TypeError, ValueError):
            raise InvalidRequest("The text is not valid Unicode.", field) from None
        over = len(found.ids) - self._config.window
        seconds = [place for place, part in enumerate(found.sequence_ids) if part == 1]
        if over > 0 and (not truncate or over >= len(seconds)):
            raise ContextExceeded(self._model, self._config.window, len(found.ids))
        cut = set(seconds[len(seconds) - over :]) if over > 0 else set()
        typed = self._config.token_types > 1
        return np.array(
            [
                ~id if kind and typed else id
                for place, (id, kind) in enumerate(zip(found.ids, found.type_ids, strict=True))
                if place not in cut
            ],
            dtype=np.int32,
        )

    def _encode(self, value: str | tuple[int, ...], field: str, truncate: bool) -> Ids:
        if not value:
            raise InvalidRequest("An input must not be empty.", field)
        if len(value) > MAX_TEXT:
            raise TooLarge(field, MAX_TEXT, len(value), "characters" if isinstance(value, str) else "tokens")
        tokens = self._split(value, field) if isinstance(value, str) else self._known(value, field)
        if len(tokens) > self._room and not truncate:
            length = len(self._before) + len(tokens) + len(self._after)
            raise ContextExceeded(self._model, self._config.window, length)
        return np.array([*self._before, *tokens[: self._room], *self._after], dtype=np.int32)

    def _split(self, text: str, field: str) -> Sequence[int]:
        if self._config.lower_case:
            text = text.lower()
        try:
            # The batch call releases the GIL, the single one does not; one text keeps it on one core.
            ids: list[int] = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids
        except (TypeError, ValueError):  # lone surrogates cannot be passed on as UTF-8
            raise InvalidRequest("The text is not valid Unicode.", field) from None
        return ids

    def _known(self, ids: tuple[int, ...], field: str) -> Sequence[int]:
        if min(ids) < 0 or max(ids) >= self._config.vocabulary:
            raise InvalidRequest(f"Token ids lie between 0 and {self._config.vocabulary - 1}.", field)
        return ids


def slices(inputs: Sequence[str | tuple[int, ...]]) -> Iterator[tuple[int, int]]:
    """Cuts inputs into (start, end) of a few milliseconds' work, so that a short request is not behind a long one."""
    start = size = 0
    for index, value in enumerate(inputs):
        if index > start and (index - start >= _SLICE_INPUTS or size + len(value) > _SLICE_CHARACTERS):
            yield start, index
            start, size = index, 0
        size += len(value)
    yield start, len(inputs)


def _special(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer puts before and after a text ([CLS] and [SEP]), found by encoding one."""
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a", add_special_tokens=True)
    if any(whole.type_ids):
        raise Unsupported("A tokenizer that gives a single text another token type than 0")
    for start in range(len(whole.ids) - len(bare) + 1):
        if bare and whole.ids[start : start + len(bare)] == bare:
            return whole.ids[:start], whole.ids[start + len(bare) :]
    raise Damaged(_FILE, "the letter a has no token")
