"""The compilers that llama.cpp will use, called alone: the copy of llguidance and of llama.cpp inside xllamacpp.

xllamacpp has no Python function that compiles a grammar: `json_schema_to_grammar` only writes the schema behind
"%llguidance". When a grammar does not compile, llama.cpp logs it and *samples without it*, so checking first is the
only way to know. Both C interfaces are exported by the extension module and called through ctypes:
llguidance.h (https://github.com/guidance-ai/llguidance/blob/main/parser/llguidance.h) and llama.h.
Only ever imported in the checking process.
"""

from __future__ import annotations

import ctypes
import json
from typing import Any

from xllamacpp import json_schema_to_grammar
from xllamacpp import xllamacpp as extension

_BYTES = 256  # a vocabulary of single bytes, and one end token: enough to compile and to take the first step
_STEPS = 300
_STRIDE = 97  # a stride through the bytes, so that the walk does not stay in one loop
_END = b"\xff[end]"
_MESSAGE = 1024


class _TokenizerInit(ctypes.Structure):
    """LlgTokenizerInit, with room for fields that later versions append (they must be zero)."""

    _fields_ = (
        ("vocab_size", ctypes.c_uint32),
        ("tok_eos", ctypes.c_uint32),
        ("token_lens", ctypes.POINTER(ctypes.c_uint32)),
        ("token_bytes", ctypes.c_char_p),
        ("tokenizer_json", ctypes.c_char_p),
        ("tokenize_assumes_string", ctypes.c_bool),
        ("tokenize_fn", ctypes.c_void_p),
        ("use_approximate_greedy_tokenize_fn", ctypes.c_bool),
        ("tokenize_user_data", ctypes.c_void_p),
        ("slices", ctypes.c_void_p),
        ("spare", ctypes.c_uint64 * 8),
    )


class Compilers:
    """Each method returns what is wrong, "" for nothing."""

    def __init__(self) -> None:
        """Raises OSError or AttributeError when the extension does not export the two interfaces."""
        library = ctypes.CDLL(extension.__file__)
        self._new_matcher = _function(library.llg_new_matcher, ctypes.c_void_p, "ppp")
        self._compute_mask = _function(library.llg_matcher_compute_mask, ctypes.c_int32, "p")
        self._get_mask = _function(library.llg_matcher_get_mask, ctypes.POINTER(ctypes.c_uint32), "p")
        self._consume = _function(library.llg_matcher_consume_token, ctypes.c_int32, "pt")
        self._is_stopped = _function(library.llg_matcher_is_stopped, ctypes.c_bool, "p")
        self._matcher_error = _function(library.llg_matcher_get_error, ctypes.c_char_p, "p")
        self._free_matcher = _function(library.llg_free_matcher, None, "p")
        self._new_gbnf = _function(library.llama_sampler_init_grammar, ctypes.c_void_p, "ppp")
        self._free_sampler = _function(library.llama_sampler_free, None, "p")
        self._init = (ctypes.c_uint64 * 64)()  # LlgConstraintInit, with room to spare
        tokenizer = _tokenizer(library)
        _function(library.llg_constraint_init_set_defaults, None, "pp")(self._init, tokenizer)

    def schema(self, text: str) -> str:
        grammar: str = json_schema_to_grammar(json.loads(text))
        return self._guidance(b"lark", grammar)

    def grammar(self, text: str) -> str:
        """A Lark grammar for llguidance when it begins with "%llguidance", else GBNF."""
        if text.startswith("%llguidance"):
            return self._guidance(b"lark", text)
        sampler = self._new_gbnf(None, text.encode(), b"root")
        if not sampler:
            return "not a GBNF grammar with a rule called root"
        self._free_sampler(sampler)
        return ""

    def regex(self, text: str) -> str:
        return self._guidance(b"regex", text)

    def _guidance(self, kind: bytes, text: str) -> str:
        """Compiles, and walks a few hundred allowed bytes as llama.cpp would: llguidance builds its automata as it
        goes, so some grammars fail only then."""
        matcher = self._new_matcher(self._init, kind, text.encode())
        try:
            for step in range(_STEPS):
                if self._compute_mask(matcher) != 0 or self._is_stopped(matcher):
                    break
                token = _allowed(self._get_mask(matcher), step * _STRIDE)
                if token is None or self._consume(matcher, token) != 0:
                    break
            return _words(self._matcher_error(matcher))
        finally:
            self._free_matcher(matcher)


def _tokenizer(library: Any) -> Any:
    init = _TokenizerInit(
        vocab_size=_BYTES + 1,
        tok_eos=_BYTES,
        token_lens=(ctypes.c_uint32 * (_BYTES + 1))(*[1] * _BYTES, len(_END)),
        token_bytes=bytes(range(_BYTES)) + _END,
        use_approximate_greedy_tokenize_fn=True,
    )
    message = ctypes.create_string_buffer(_MESSAGE)
    create = _function(library.llg_new_tokenizer, ctypes.c_void_p, "ppn")
    tokenizer = create(ctypes.byref(init), message, _MESSAGE)
    if not tokenizer:
        raise OSError(message.value.decode("utf-8", "replace"))
    return tokenizer


def _function(function: Any, result: Any, arguments: str) -> Any:
    """p: a pointer, n: a size, t: a token."""
    kinds = {"p": ctypes.c_void_p, "n": ctypes.c_size_t, "t": ctypes.c_uint32}
    function.restype = result
    function.argtypes = [kinds[kind] for kind in arguments]
    return function


def _words(error: bytes | None) -> str:
    """llguidance's message without the lines that repeat the grammar or dump its state."""
    if not error:
        return ""
    lines = error.decode("utf-8", "replace").partition("<state>")[0].splitlines()
    kept = [line.strip() for line in lines if "|" not in line and line.strip(" ^")]
    text = " ".join(kept).removeprefix("at 2(8): ").removeprefix("failed to compile JSON schema: ")
    return f"it does not compile: {text[:300]}"


def _allowed(mask: Any, start: int) -> int | None:
    """The first allowed byte from `start` on, round and round; the end token only when no byte is."""
    for place in range(start, start + _BYTES):
        token = place % _BYTES
        if mask[token // 32] >> (token % 32) & 1:
            return token
    return _BYTES if mask[_BYTES // 32] & 1 else None
