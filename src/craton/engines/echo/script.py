"""Scripts: what echo answers when somebody's CI wants more than an echo.

A script is a YAML file, named by the engine's option `script`. The first rule that fits a request answers it; without
one, echo echoes. Every key is optional, unknown keys are refused.

    rules:
      - when:                     # all that stand here must hold; without `when` the rule always fits
          contains: weather       #   in the last user message, upper and lower case alike
          matches: "^in \\\\w+$"    #   a Python regular expression searched in its first 10,000 characters
          model: echo             #   the name that the caller used
          call: 2                 #   only the second call of those that fit the lines above
        reply: It is sunny.       # or a list of parts, in order:
        reply:
          - reasoning: Let me look.
            signature: abc
          - text: One moment.
          - tool: get_weather     # a tool call
            arguments: {city: Paris}
            id: call_1            #   made up from the call when left out
        stop: max_tokens          # the stop reason; else end_turn, or tool_use after a tool call
        usage: {input: 10, output: 5, cached_input: 4, cache_write: 0, reasoning: 2}   # instead of counted words
        delay: {first_ms: 200, between_ms: 20}       # before the first event, and between words
        throttle: {calls: 2, retry_after: 1.5}       # the first 2 calls that fit are refused
        fault:                    # in mid-stream
          after: 3                #   words
          kind: fail              #   fail: a typed error. crash: the worker process kills itself. hang: its loop blocks
          reason: out of memory   #   what the typed error says
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml
from msgspec import Struct

from craton.core.chat import Json, ReasoningPart, TextPart, ToolUsePart
from craton.core.errors import Damaged, InvalidRequest, NotFound, TooLarge
from craton.core.events import StopReason

MAX_SCRIPT_BYTES = 1_000_000
MAX_PATTERN = 500
MAX_SEARCHED = 10_000

ReplyPart = TextPart | ReasoningPart | ToolUsePart


class _Strict(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class When(_Strict, frozen=True):
    contains: str | None = None
    matches: str | None = None
    model: str | None = None
    call: int | None = None


class ScriptPart(_Strict, frozen=True):
    text: str | None = None
    reasoning: str | None = None
    tool: str | None = None
    arguments: Json | None = None
    id: str = ""
    signature: str | None = None

    def part(self) -> ReplyPart:
        if self.tool is not None:
            return ToolUsePart(id=self.id, name=self.tool, arguments=self.arguments or {})
        if self.reasoning is not None:
            return ReasoningPart(text=self.reasoning, signature=self.signature)
        return TextPart(text=self.text or "")


class ScriptUsage(_Strict, frozen=True):
    input: int | None = None
    output: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


class Delay(_Strict, frozen=True):
    first_ms: float = 0.0
    between_ms: float = 0.0


class Throttle(_Strict, frozen=True):
    calls: int
    retry_after: float = 1.0


class Fault(_Strict, frozen=True):
    after: int = 0
    kind: Literal["fail", "crash", "hang"] = "fail"
    reason: str = "the script says so"


class Rule(_Strict, frozen=True):
    when: When = When()
    reply: str | tuple[ScriptPart, ...] | None = None
    stop: StopReason | None = None
    usage: ScriptUsage | None = None
    delay: Delay = Delay()
    throttle: Throttle | None = None
    fault: Fault | None = None

    def parts(self) -> tuple[ReplyPart, ...] | None:
        """The scripted parts; None to echo."""
        if self.reply is None:
            return None
        if isinstance(self.reply, str):
            return (TextPart(text=self.reply),)
        return tuple(part.part() for part in self.reply)


class _Document(_Strict, frozen=True):
    rules: tuple[Rule, ...] = ()


_KEYS = sorted(
    {
        field.name
        for struct in (_Document, Rule, When, ScriptPart, ScriptUsage, Delay, Throttle, Fault)
        for field in msgspec.structs.fields(struct)
    }
)


class Script:
    """Rules, and how often each was met (`call` and `throttle` count)."""

    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        """Raises InvalidRequest for a bad regular expression or a part that is not exactly one thing."""
        self._rules = rules
        self._patterns = [_compile(rule.when.matches, f"rules[{i}].when.matches") for i, rule in enumerate(rules)]
        self._met = [0] * len(rules)
        for i, rule in enumerate(rules):
            for j, part in enumerate(rule.reply if isinstance(rule.reply, tuple) else ()):
                if sum(value is not None for value in (part.text, part.reasoning, part.tool)) != 1:
                    raise InvalidRequest("give one of text, reasoning and tool", f"rules[{i}].reply[{j}]")

    def find(self, text: str, model: str) -> tuple[Rule, int] | None:
        """The first rule that fits the last user message and the model's name, and the how-manieth call of it this is
        (from 1)."""
        for index, (rule, pattern) in enumerate(zip(self._rules, self._patterns, strict=True)):
            when = rule.when
            if when.contains is not None and when.contains.casefold() not in text.casefold():
                continue
            if pattern is not None and not pattern.search(text[:MAX_SEARCHED]):
                continue
            if when.model is not None and when.model != model:
                continue
            self._met[index] += 1
            if when.call is None or when.call == self._met[index]:
                return rule, self._met[index]
        return None


def load_script(path: Path) -> Script:
    """Reads a script. Raises NotFound, TooLarge, Damaged (not YAML), InvalidRequest (not a script)."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SCRIPT_BYTES + 1)
    except OSError:
        raise NotFound("script", path.name) from None
    if len(data) > MAX_SCRIPT_BYTES:
        raise TooLarge("the script", MAX_SCRIPT_BYTES)
    return parse_script(data)


def parse_script(data: bytes | str) -> Script:
    """A script from the YAML text. Errors as `load_script`."""
    try:
        document: Any = yaml.safe_load(data)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        where = getattr(error, "problem_mark", None)
        raise Damaged("the script", f"not YAML, line {where.line + 1}" if where else "not YAML") from None
    try:
        return Script(msgspec.convert(document or {}, _Document).rules)
    except msgspec.ValidationError as error:
        raise InvalidRequest(_explain(str(error)), "script") from None


def _explain(message: str) -> str:
    """msgspec's words, and the nearest key when one is unknown."""
    unknown = re.search(r"unknown field `(.+?)`", message)
    nearest = difflib.get_close_matches(unknown[1], _KEYS, 1, 0.5) if unknown else []
    return message + (f"; did you mean `{nearest[0]}`?" if nearest else "")


def _compile(pattern: str | None, field: str) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    if len(pattern) > MAX_PATTERN:
        raise InvalidRequest(f"the expression is longer than {MAX_PATTERN} characters", field)
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidRequest(f"not a regular expression: {error}", field) from None
