"""A tokenizer made from a GGUF file's metadata alone, so that tokens can be counted without loading the model.

Byte-pair vocabularies ("gpt2") with a pre-tokenizer that is known here are built exactly as llama.cpp splits and merges
(src/llama-vocab.cpp); every other vocabulary is refused, and the loaded model counts instead.
"""

from __future__ import annotations

from typing import Any

import gguf
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Sequence, Split

from craton.core.errors import Damaged, Unsupported

_CONTROL, _USER_DEFINED = 3, 4
"""Kinds of token in GGUF's `tokenizer.ggml.token_type` that match as a whole, before anything is split."""

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_LLAMA3 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{DIGITS}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


_LLAMA3_NAMES = {"llama3", "llama-v3", "llama-bpe"}


def _split(pattern: str) -> list[PreTokenizer]:
    return [Split(Regex(pattern), "isolated")]


def _splitting(name: str) -> list[PreTokenizer]:
    """How llama.cpp cuts a text before merging, by the name in `tokenizer.ggml.pre`. Raises Unsupported."""
    if name in {"smollm", "starcoder", "refact", "command-r"}:
        return [Digits(individual_digits=True), *_split(_GPT2)]
    if name in {"gpt-2", "phi-2", "mpt", "olmo"}:
        return _split(_GPT2)
    if name in _LLAMA3_NAMES:
        return _split(_LLAMA3.replace("{DIGITS}", "{1,3}"))
    if name in {"qwen2", "deepseek-r1-qwen"}:
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
        try:
            reader = gguf.GGUFReader(path)
            return cls._build({name: field for name, field in reader.fields.items() if name.startswith("tokenizer.")})
        except (ValueError, KeyError, IndexError, OSError) as error:
            raise Damaged("the tokenizer of the GGUF file", type(error).__name__) from error

    @classmethod
    def _build(cls, fields: dict[str, Any]) -> GgufTokenizer:
        def value(name: str, otherwise: Any = None) -> Any:
            field = fields.get(f"tokenizer.ggml.{name}")
            return otherwise if field is None else field.contents()

        if value("model") != "gpt2":
            raise Unsupported(f"counting tokens without the model for {value('model')!r} vocabularies")
        words: list[str] = value("tokens")
        kinds: list[int] = value("token_type", [1] * len(words))
        merges = [tuple(pair.split(" ", 1)) for pair in value("merges", [])]
        pre = value("pre", "default")
        vocabulary = {word: number for number, word in enumerate(words)}
        tokenizer = Tokenizer(BPE(vocabulary, merges, ignore_merges=pre in _LLAMA3_NAMES))
        tokenizer.pre_tokenizer = Sequence([*_splitting(pre), ByteLevel(add_prefix_space=False, use_regex=False)])
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
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        if self._first is not None and ids[:1] != [self._first]:
            return [self._first, *ids]
        return ids
