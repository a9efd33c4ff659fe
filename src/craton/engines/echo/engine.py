"""EchoEngine: deterministic, in pure Python, cheap enough to run inside the server.

It says the last user message back, word by word; a word is a token. A request for reasoning gets a sentence of it
first; one that forces a tool gets a call with the smallest valid arguments; one with an output schema gets the
smallest JSON that fits. `script.py` says how to make it answer anything else.
"""

from __future__ import annotations

import array
import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

from craton.core.chat import ChatRequest, ReasoningPart, TextPart, Tool, ToolUsePart
from craton.core.errors import ContextExceeded, InvalidRequest, ModelFailed, Throttled, Unsupported
from craton.core.events import Delta, Event, Usage
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest
from craton.engines.echo.minimal import minimal
from craton.engines.echo.script import Fault, ReplyPart, Rule, Script, load_script
from craton.engines.echo.speech import Meter, speak
from craton.engines.echo.words import compact, count, count_prompt, message_text, unit_vector
from craton.engines.protocol import EngineSpec

DEFAULT_CONTEXT = 8192
DIMENSIONS = 64
MAX_DIMENSIONS = 4096
TOP_LOGPROBS = 20
_YIELD_EVERY = 256  # deltas between two looks at other requests
_SETTLE = 0.02  # seconds
_PLAIN = Rule()

CAPABILITIES = Capabilities(
    verbs=("chat", "embed"),
    tools="native",
    output_schema=True,
    reasoning=True,
    images=True,
    documents=True,
    top_logprobs=TOP_LOGPROBS,
    many_choices=True,
    seed=True,
    logit_bias=True,
    penalties=True,
    concurrency=1024,
)


class EchoEngine:
    """See the module. Its one certain token has logprob 0.0, so temperature, bias and penalties change nothing."""

    def __init__(
        self,
        model: str,
        script: Script | None = None,
        *,
        context: int = DEFAULT_CONTEXT,
        crash: Callable[[], None] | None = None,
        hang: Callable[[], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """crash and hang: how a worker process carries out those faults. Without them (inside the server) a crash is a
        ModelFailed and a hang waits without end, so that neither hurts other requests."""
        self._model = model
        self._script = script or Script()
        self._context = context
        self._crash, self._hang, self._sleep = crash, hang, sleep

    @classmethod
    def load(
        cls,
        spec: EngineSpec,
        *,
        crash: Callable[[], None] | None = None,
        hang: Callable[[], None] | None = None,
    ) -> EchoEngine:
        """Options: script, a path. Raises InvalidRequest for any other, and what `load_script` raises."""
        if unknown := sorted(set(spec.options) - {"script"}):
            raise InvalidRequest(f"the echo engine has no option {unknown[0]!r}; it has: script", "options")
        path = spec.options.get("script")
        script = load_script(Path(path)) if path else None
        context = spec.info.context_length or DEFAULT_CONTEXT
        return cls(spec.model, script, context=context, crash=crash, hang=hang)

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Besides ContextExceeded: InvalidRequest (a forced tool that is not there), Unsupported (a schema without an
        easy smallest value), and what the script asks for."""
        text = _last_user_text(request)
        rule = self._rule(text, request.model)
        prompt = count_prompt(request)
        if prompt > self._context:
            raise ContextExceeded(self._model, self._context, prompt)
        parts = rule.parts()
        if parts is None:
            parts = _default_reply(request, text)
        budget = self._context - prompt
        if request.sampling.max_tokens is not None:
            budget = min(budget, request.sampling.max_tokens)
        if rule.delay.first_ms:
            await self._sleep(rule.delay.first_ms / 1000)
        between, fault, deltas = rule.delay.between_ms / 1000, rule.fault, 0
        meter = Meter()
        for choice in range(request.sampling.n):
            for event in speak(parts, choice, request, budget, rule.stop, meter):
                if isinstance(event, Delta):
                    if fault and deltas == fault.after:
                        await self._fail(fault)
                    if deltas and between:
                        await self._sleep(between)
                    elif deltas % _YIELD_EVERY == _YIELD_EVERY - 1:
                        await self._sleep(0)
                    deltas += 1
                yield event
        if fault and deltas <= fault.after:
            await self._fail(fault)
        yield _usage(rule, prompt, meter)

    def _rule(self, text: str, model: str) -> Rule:
        found = self._script.find(text, model)
        if found is None:
            return _PLAIN
        rule, call = found
        if rule.throttle and call <= rule.throttle.calls:
            raise Throttled("the script refuses this call", rule.throttle.retry_after)
        return rule

    async def _fail(self, fault: Fault) -> None:
        if fault.kind != "fail":
            await self._sleep(_SETTLE)  # what was said before leaves the process first
        if fault.kind == "crash" and self._crash:
            self._crash()
        if fault.kind == "hang":
            if self._hang:
                self._hang()
            await asyncio.get_running_loop().create_future()
        raise ModelFailed(self._model, fault.reason)

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        """Directions that depend on the input alone (token ids: on their decimal digits). Each text's length is 1."""
        dimensions = DIMENSIONS if request.dimensions is None else request.dimensions
        if not 0 < dimensions <= MAX_DIMENSIONS:
            raise InvalidRequest(f"must be from 1 to {MAX_DIMENSIONS}", "dimensions")
        vectors, tokens = array.array("f"), []
        for item in request.inputs:
            words = item.split() if isinstance(item, str) else [str(token) for token in item]
            text = item if isinstance(item, str) else " ".join(words)
            if len(words) > self._context:
                if not request.truncate:
                    raise ContextExceeded(self._model, self._context, len(words))
                words = words[: self._context]
                text = " ".join(words)
            vectors.extend(unit_vector(text, dimensions))
            tokens.append(len(words))
        return EmbedAnswer(vectors=vectors.tobytes(), dimensions=dimensions, tokens=tuple(tokens))

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        raise Unsupported("scoring with the echo model")

    async def predict(self, request: PredictorRequest) -> PredictAnswer:
        raise Unsupported("predicting with the echo model")

    async def count_tokens(self, request: ChatRequest) -> int:
        return count_prompt(request)

    async def close(self) -> None:
        """Nothing to give back."""


def _last_user_text(request: ChatRequest) -> str:
    last = next((message for message in reversed(request.messages) if message.role == "user"), None)
    return message_text(last) if last else ""


def _default_reply(request: ChatRequest, text: str) -> tuple[ReplyPart, ...]:
    thoughts: tuple[ReplyPart, ...] = ()
    if request.reasoning and request.reasoning.enabled:
        thoughts = (ReasoningPart(text=f"The user said {count(text)} words. I say them back."),)
    if request.tool_choice.mode in {"any", "tool"}:
        tool = _forced_tool(request)
        return (*thoughts, ToolUsePart(id="", name=tool.name, arguments=_arguments(tool)))
    if request.output_schema:
        schema = request.output_schema.schema
        return (*thoughts, TextPart(text=compact(minimal(schema) if schema else {})))
    return (*thoughts, TextPart(text=text))


def _forced_tool(request: ChatRequest) -> Tool:
    wanted = request.tool_choice.name if request.tool_choice.mode == "tool" else None
    for tool in request.tools:
        if wanted is None or tool.name == wanted:
            return tool
    raise InvalidRequest(f"there is no tool {wanted!r}" if wanted else "there are no tools", "tool_choice")


def _arguments(tool: Tool) -> dict[str, object]:
    arguments = minimal(tool.schema or {"type": "object"})
    if not isinstance(arguments, dict):
        raise InvalidRequest("the arguments of a tool must be an object", "tools")
    return arguments


def _usage(rule: Rule, prompt: int, meter: Meter) -> Usage:
    scripted = rule.usage
    thought = meter.reasoning or None
    if scripted is None:
        return Usage(prompt, meter.output, reasoning=thought)
    return Usage(
        prompt if scripted.input is None else scripted.input,
        meter.output if scripted.output is None else scripted.output,
        scripted.cached_input,
        scripted.cache_write,
        thought if scripted.reasoning is None else scripted.reasoning,
    )
