"""Answers in the words of Converse and ConverseStream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from craton.core.chat import Json
from craton.core.events import ChatAnswer, Delta, Event, PartEnded, PartStarted, Stop, StopReason, Usage
from craton.wire.aws.blocks import write_block

_STOP_REASONS: dict[StopReason, str] = {
    "end_turn": "end_turn",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "guardrail": "guardrail_intervened",
    "content_filter": "content_filtered",
}


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """What the request asked to be told beside the answer, and which model really ran.

    ran: set when that is not the model that was named. fields: JSON pointers into the model's own answer; Craton has
    only its stop sequence to give there, and pointers to nothing are passed over, as Bedrock does.
    """

    ran: str = ""
    fields: Sequence[str] = ()
    latency: bool = False
    tier: bool = False

    @classmethod
    def of(cls, value: Json, ran: str) -> AnswerOptions:
        return cls(
            ran=ran,
            fields=value.get("additionalModelResponseFieldPaths", ()),
            latency="performanceConfig" in value,
            tier="serviceTier" in value,
        )

    def beside(self) -> Json:
        """Members that a whole answer and the stream's metadata share. Every request gets the one tier there is."""
        beside: Json = {}
        if self.ran:
            beside["trace"] = {"promptRouter": {"invokedModelId": self.ran}}
        if self.latency:
            beside["performanceConfig"] = {"latency": "standard"}
        if self.tier:
            beside["serviceTier"] = {"type": "default"}
        return beside

    def model_fields(self, stop: Stop) -> Json:
        if "/stop_sequence" not in self.fields:
            return {}
        return {"additionalModelResponseFields": {"stop_sequence": stop.sequence}}


def write_converse(answer: ChatAnswer, options: AnswerOptions, milliseconds: int) -> Json:
    """A whole answer; milliseconds: how long it took."""
    choice = answer.choices[0]
    return {
        "output": {"message": {"role": "assistant", "content": [write_block(part) for part in choice.parts]}},
        "stopReason": _STOP_REASONS[choice.stop.reason],
        "usage": _write_usage(answer.usage),
        "metrics": {"latencyMs": milliseconds},
        **options.model_fields(choice.stop),
        **options.beside(),
    }


class StreamWriter:
    """Turns events into ConverseStream's: messageStart, then per part contentBlockStart (tool use only),
    contentBlockDelta and contentBlockStop, then messageStop and metadata. Values are (event name, its members)."""

    def __init__(self, options: AnswerOptions) -> None:
        self._options = options
        self._started = False
        self._kinds: dict[int, str] = {}

    def write(self, event: Event, milliseconds: int) -> Iterator[tuple[str, Json]]:
        """milliseconds: since the request came in."""
        if not self._started:
            self._started = True
            yield "messageStart", {"role": "assistant"}
        if isinstance(event, Delta):
            for delta in self._deltas(event):
                yield "contentBlockDelta", {"contentBlockIndex": event.index, "delta": delta}
        elif isinstance(event, PartStarted):
            self._kinds[event.index] = event.kind
            if event.kind == "tool_use":
                start = {"toolUse": {"toolUseId": event.tool_id, "name": event.tool_name}}
                yield "contentBlockStart", {"contentBlockIndex": event.index, "start": start}
        elif isinstance(event, PartEnded):
            yield "contentBlockStop", {"contentBlockIndex": event.index}
        elif isinstance(event, Stop):
            yield "messageStop", {"stopReason": _STOP_REASONS[event.reason], **self._options.model_fields(event)}
        else:
            metrics = {"latencyMs": milliseconds}
            yield "metadata", {"usage": _write_usage(event), "metrics": metrics, **self._options.beside()}

    def _deltas(self, event: Delta) -> Iterator[Json]:
        kind = self._kinds[event.index]
        if kind == "text":
            yield {"text": event.text}
        elif kind == "tool_use":
            yield {"toolUse": {"input": event.text}}
        else:
            if event.text:
                yield {"reasoningContent": {"text": event.text}}
            if event.signature is not None:
                yield {"reasoningContent": {"signature": event.signature}}
            if event.redacted is not None:
                yield {"reasoningContent": {"redactedContent": event.redacted}}


def _write_usage(usage: Usage) -> Json:
    """Bedrock counts cached tokens beside inputTokens, where core's `input` has them inside; the total has all."""
    return {
        "inputTokens": usage.input - (usage.cached_input or 0) - (usage.cache_write or 0),
        "outputTokens": usage.output,
        "totalTokens": usage.total,
        "cacheReadInputTokens": usage.cached_input,
        "cacheWriteInputTokens": usage.cache_write,
    }
