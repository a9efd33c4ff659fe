"""The token that stands for a missing one, and tokens as people name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from craton.core.errors import Damaged, InvalidRequest
from craton.engines.bert.arrays import Ids
from craton.engines.bert.files import optional
from craton.engines.bert.tokenizing import BertTokenizer

MAX_TARGETS = 1000
_USUAL = ("[MASK]", "<mask>")


class _Config(Struct):
    """tokenizer_config.json."""

    mask_token: str | dict[str, Any] | None = None


class Masks:
    """id: of the mask token. text: how inputs write it."""

    def __init__(self, tokenizer: BertTokenizer, text: str, id: int) -> None:
        self._tokenizer, self._tokens, self.text, self.id = tokenizer, tokenizer.tokens, text, id

    @classmethod
    def load(cls, files: dict[str, str], tokenizer: BertTokenizer) -> Masks:
        """Raises Damaged when the tokenizer has no mask token."""
        said = (optional(files, "tokenizer_config.json", _Config) or _Config()).mask_token
        named = said.get("content") if isinstance(said, dict) else said
        for text in (named,) if isinstance(named, str) else _USUAL:
            id = tokenizer.tokens.token_to_id(text)
            if id is not None:
                return cls(tokenizer, text, id)
        raise Damaged("tokenizer.json", "it has no mask token")

    def check(self, rows: Sequence[Ids]) -> None:
        """Raises InvalidRequest unless each row has one mask."""
        for index, row in enumerate(rows):
            count = int((row == self.id).sum())
            if count != 1:
                raise InvalidRequest(f"it holds {self.text} {count} times; once is read", f"inputs[{index}]")

    def targets(self, names: Sequence[str]) -> list[int]:
        """The ids of tokens. Raises InvalidRequest for what is no single token, and for too many."""
        if len(names) > MAX_TARGETS:
            raise InvalidRequest(f"at most {MAX_TARGETS}, got {len(names)}", "targets")
        return [self._target(name, f"targets[{index}]") for index, name in enumerate(names)]

    def _target(self, name: str, field: str) -> int:
        known = self._tokens.token_to_id(name)
        if known is not None:
            return int(known)
        ids = self._tokens.encode(name[:1000], add_special_tokens=False).ids
        if len(ids) != 1:
            raise InvalidRequest(f"{name[:60]!r} is {len(ids)} tokens of this model; it must be one", field)
        return int(ids[0])

    def written(self, row: Ids, token: int) -> str:
        """The row's text with the token in the mask's place."""
        return self._tokenizer.written(np.where(row == self.id, token, row).tolist())

    def token(self, id: int) -> str:
        return str(self._tokens.decode([id], skip_special_tokens=False))
