"""Grammars in the Lark dialect of llguidance, which xllamacpp is built with.

https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md. A grammar that llguidance cannot compile is
dropped by llama.cpp without a word and the output is free, so each is tried first: `probe`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from craton.core.chat import Json, Tool
from craton.engines.tool_prompting import CALL_OPEN, TRAILER, header

MAX_CALLS = 8
SENTINEL = "zqxjk"
_HEAD = "%llguidance {}\n"
_COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""One way to write white space: a weak model otherwise fills its token budget with blanks."""


def answer(schema: Json) -> str:
    """The whole output is JSON that fits the schema."""
    return f"{_HEAD}start: {_json(schema or {'type': 'object'})}\n"


def calls(tools: Sequence[Tool], *, parallel: bool, opened: bool) -> str:
    """The output is a call of one of the tools, or several (at most MAX_CALLS) when `parallel`.

    opened: the opening mark of the first call has been written already.
    """
    more = f"(separator call){{0,{MAX_CALLS - 1}}}" if parallel else ""
    start = f"call {more}" if opened else f"{_literal(CALL_OPEN)} call {more}"
    lines = [
        f"start: {start}",
        f"separator: {_literal(chr(10) + CALL_OPEN)}",
        "call: " + " | ".join(f"call_{index}" for index in range(len(tools))),
    ]
    for index, tool in enumerate(tools):
        schema = _closed(tool.schema)
        lines.append(f"call_{index}: {_literal(header(tool.name))} {_json(schema)} {_literal(TRAILER)}")
    return _HEAD + "\n".join(lines) + "\n"


def probe(grammar: str) -> str:
    """The same grammar behind a word that no model says on its own: if it comes, the grammar is in force."""
    return grammar.replace("start: ", f"start: {_literal(SENTINEL)} ", 1)


def _closed(schema: Json) -> Json:
    """An object schema for arguments; properties that it does not name are left out (which any schema allows
    that does not demand them)."""
    closed = {"type": "object", **schema}
    if closed.get("properties") and not closed.keys() & {
        "additionalProperties",
        "patternProperties",
        "minProperties",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
    }:
        closed["additionalProperties"] = False
    return closed


def _json(schema: Json) -> str:
    return f"%json {json.dumps({**schema, 'x-guidance': _COMPACT}, ensure_ascii=False)}"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
