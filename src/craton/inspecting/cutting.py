"""A text cut into tokens by a model's own tokenizer, with nothing else of the model loaded.

A GGUF file's vocabulary is built as llama.cpp builds it (`engines.llama_cpp.tokenizer`), a repository's tokenizer.json
is read by the library that wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from craton.core.errors import Damaged, Unsupported
from craton.inspecting.values import Piece

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

    from craton.inspecting.frames import Source

TOKENIZER = "tokenizer.json"
SENTENCES = "sentence_bert_config.json"
_MAX_FILE = 64 << 20


def cut(source: Source, text: str) -> tuple[Piece, ...]:
    """Raises Unsupported for a model whose tokenizer cannot be read here, Damaged for a broken one."""
    gguf, files = gguf_file(source.files), source.overlay | source.files
    if gguf is not None:
        with suppress(Unsupported):
            return _as_llama_cpp(gguf, text)
    if TOKENIZER not in files:
        alone = "Its vocabulary is one that llama.cpp alone reads, and it" if gguf is not None else "It"
        raise Unsupported(f"Cutting texts as {source.model!r} does", f"{alone} brings no {TOKENIZER}.")
    if _lower_case(files):
        text = text.lower()
    tokenizer = _read(Path(files[TOKENIZER]))
    special = frozenset(id for id, token in tokenizer.get_added_tokens_decoder().items() if token.special)
    return _pieces(tokenizer.encode(text), text, special, letters="ByteLevel" in repr(tokenizer.decoder))


def _as_llama_cpp(path: str, text: str) -> tuple[Piece, ...]:
    from craton.engines.llama_cpp.tokenizer import GgufTokenizer

    found = GgufTokenizer.read(path)
    first = [Piece(id, name, name, special=True) for id, name in found.beginning(text)]
    return (*first, *_pieces(found.encode(text), text, found.special, letters=True))


def gguf_file(files: Mapping[str, str]) -> str | None:
    """The path of the one that is served: the first by name."""
    return next((path for name, path in sorted(files.items()) if name.lower().endswith(".gguf")), None)


def _read(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    if path.stat().st_size > _MAX_FILE:
        raise Damaged(TOKENIZER, "it is too large to be a tokenizer")
    try:
        tokenizer = Tokenizer.from_buffer(path.read_bytes())
    except Exception as error:  # the package raises bare Exception
        raise Damaged(TOKENIZER, str(error)[:300]) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _lower_case(files: Mapping[str, str]) -> bool:
    """Whether the texts are put in lower case before they come to the tokenizer."""
    if SENTENCES not in files:
        return False
    try:
        return bool(json.loads(Path(files[SENTENCES]).read_bytes()).get("do_lower_case", False))
    except (ValueError, AttributeError):
        return False


def _pieces(encoding: Encoding, text: str, special: Set[int], *, letters: bool) -> tuple[Piece, ...]:
    """letters: each token is spelled in letters that stand for bytes."""
    pieces = []
    for id, token, (start, end), added in zip(
        encoding.ids, encoding.tokens, encoding.offsets, encoding.special_tokens_mask, strict=True
    ):
        if added or id in special:
            pieces.append(Piece(id, token, token, special=True))
        else:
            pieces.append(Piece(id, _bytes(token) if letters else text[start:end], token))
    return tuple(pieces)


def _bytes(token: str) -> str:
    """What a token of a byte-level vocabulary stands for; its bytes, where it is no whole letters."""
    raw = bytes(_BYTES[letter] for letter in token if letter in _BYTES)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in raw)


def _byte_letters() -> dict[str, int]:
    """GPT-2's `bytes_to_unicode`, the other way round."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [value for value in range(256) if value not in plain]
    return {chr(value): value for value in plain} | {chr(256 + n): value for n, value in enumerate(others)}


_BYTES = _byte_letters()
