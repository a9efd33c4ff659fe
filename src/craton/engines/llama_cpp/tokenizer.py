"""A tokenizer made from a GGUF file's metadata alone, so that tokens can be counted without loading the model.

Byte-pair vocabularies ("gpt2") with a pre-tokenizer that is known here are built exactly as llama.cpp splits and merges
(src/llama-vocab.cpp); every other vocabulary is refused, and the loaded model counts instead. A pre-tokenizer is known
once a test has held it against llama.cpp.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Encoding, Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Sequence, Split

from craton.core.errors import Damaged, Unsupported
from craton.formats.gguf import GgufHeader, read_gguf_file

_CONTROL, _USER_DEFINED = 3, 4
"""Kinds of token in GGUF's `tokenizer.ggml.token_type` that match as a whole, before anything is split."""

_ARRAYS = frozenset({f"tokenizer.ggml.{name}" for name in ("tokens", "token_type", "merges")})

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_LLAMA3 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{DIGITS}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_LLAMA3_NAMES = frozenset({"llama3", "llama-v3", "llama-bpe"})  # one and the same to llama.cpp


def _split(pattern: str) -> list[PreTokenizer]:
    return [Split(Regex(pattern), "isolated")]


def _splitting(name: str) -> list[PreTokenizer]:
    """How llama.cpp cuts a text before merging, by the name in `tokenizer.ggml.pre`. Raises Unsupported."""
    if name == "smollm":
        return [Digits(individual_digits=True), *_split(_GPT2)]
    if name == "gpt-2":
        return _split(_GPT2)
    if name in _LLAMA3_NAMES:
        return _split(_LLAMA3.replace("{DIGITS}", "{1,3}"))
    if name == "qwen2":
        return _split(_LLAMA3.replace("{DIGITS}", ""))
    raise Unsupported(f"counting tokens without the model for the pre-tokenizer {name!r}")


class GgufTokenizer:
    """Counts as llama.cpp does, special tokens in the text included."""

    def __init__(self, tokenizer: Tokenizer, first: int | None, bos_token: str, eos_token: str) -> None:
        self._tokenizer, self._first = tokenizer, first
        self.bos_token, self.eos_token = bos_token, eos_token

    @classmethod
    def read(cls, path: str) -> GgufTokenizer:
        """Raises Unsupported for vocabularies that are not built exactly, Damaged for a file that cannot be read."""
        file, name = Path(path), "the GGUF file"
        model, pre = _kind(read_gguf_file(file, name))  # before the vocabulary: it may be one that is not UTF-8
        if model != "gpt2":
            raise Unsupported(f"counting tokens without the model for {model!r} vocabularies")
        splitting = _splitting(pre)
        try:
            return cls._build(read_gguf_file(file, name, _ARRAYS).metadata, pre, splitting)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise Damaged("the tokenizer of the GGUF file", type(error).__name__) from error

    @classmethod
    def _build(cls, metadata: dict[str, Any], pre: str, splitting: list[PreTokenizer]) -> GgufTokenizer:
        def value(name: str, otherwise: Any = None) -> Any:
            return metadata.get(f"tokenizer.ggml.{name}", otherwise)

        if value("add_eos_token", False):
            raise Unsupported("counting tokens without the model for a vocabulary that ends every text")
        words: tuple[str, ...] = value("tokens")
        kinds: tuple[int, ...] = value("token_type", (1,) * len(words))
        merges = [tuple(pair.split(" ", 1)) for pair in value("merges", ())]
        vocabulary = {word: number for number, word in enumerate(words)}
        tokenizer = Tokenizer(BPE(vocabulary, merges, ignore_merges=pre in _LLAMA3_NAMES))
        tokenizer.pre_tokenizer = Sequence([*splitting, ByteLevel(add_prefix_space=False, use_regex=False)])
        tokenizer.add_special_tokens(
            [AddedToken(word, normalized=False) for word, kind in zip(words, kinds, strict=True) if kind == _CONTROL]
        )
        tokenizer.add_tokens(
            [
                AddedToken(word, normalized=False)
                for word, kind in zip(words, kinds, strict=True)
                if kind == _USER_DEFINED
            ]
        )
        bos, eos = value("bos_token_id"), value("eos_token_id")
        return cls(
            tokenizer,
            bos if value("add_bos_token", pre in _LLAMA3_NAMES) else None,
            words[bos] if bos is not None else "",
            words[eos] if eos is not None else "",
        )

    def tokens(self, text: str) -> list[int]:
        """Token ids of a prompt, with the beginning-of-text token where the model wants one."""
        ids: list[int] = self.encode(text).ids
        return [*(id for id, _ in self._before(ids)), *ids]

    @property
    def special(self) -> frozenset[int]:
        """Ids of the marks that are no text."""
        found = self._tokenizer.get_added_tokens_decoder().items()
        return frozenset(id for id, token in found if token.special)

    def encode(self, text: str) -> Encoding:
        """The tokens of the text itself, and where they are in it."""
        return self._tokenizer.encode(text, add_special_tokens=False)

    def beginning(self, text: str) -> list[tuple[int, str]]:
        """The tokens that stand before it, id and name."""
        return self._before(self.encode(text).ids)

    def _before(self, ids: list[int]) -> list[tuple[int, str]]:
        if self._first is None or ids[:1] == [self._first]:
            return []
        return [(self._first, self.bos_token)]


def _kind(header: GgufHeader) -> tuple[str, str]:
    """The kind of vocabulary, and the name of its pre-tokenizer."""
    found = (header.metadata.get(f"tokenizer.ggml.{name}") for name in ("model", "pre"))
    model, pre = (value if isinstance(value, str) else "default" for value in found)
    return model, pre
