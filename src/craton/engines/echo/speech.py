"""A reply as events: word by word, within the budget, up to a stop sequence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from craton.core.chat import ChatRequest, ReasoningPart, TextPart, ToolUsePart
from craton.core.events import Delta, Event, PartEnded, PartStarted, Stop, StopReason, TokenLogprob
from craton.engines.echo.script import ReplyPart
from craton.engines.echo.words import compact, pieces


class Meter:
    """Words that were said."""

    def __init__(self) -> None:
        self.output = 0
        self.reasoning = 0


def speak(
    parts: tuple[ReplyPart, ...],
    choice: int,
    request: ChatRequest,
    budget: int,
    reason: StopReason | None,
    meter: Meter,
) -> Iterator[Event]:
    """One choice. Reasoning and text are cut at `budget` words; a tool call that does not fit is left out whole."""
    sequence: str | None = None
    called = cut = False
    for index, part in enumerate(parts):
        if isinstance(part, ToolUsePart):
            words = pieces(compact(part.arguments))
            cut, called = len(words) > budget, called or len(words) <= budget
            if cut:
                break
            yield PartStarted(index, "tool_use", choice, _call_id(part, index, choice), part.name)
        else:
            words = pieces(part.text)
            cut = len(words) > budget
            words = words[:budget]
            if isinstance(part, TextPart) and request.sampling.stop:
                words, sequence = _until_stop(words, request.sampling.stop)
            yield PartStarted(index, "reasoning" if isinstance(part, ReasoningPart) else "text", choice)
        yield from _deltas(part, words, index, choice, request.sampling.logprobs)
        yield PartEnded(index, choice)
        said = len(words)
        budget -= said
        meter.output += said
        meter.reasoning += said if isinstance(part, ReasoningPart) else 0
        if cut or sequence is not None:
            break
    if sequence is not None:
        yield Stop("stop_sequence", choice, sequence)
    else:
        yield Stop("max_tokens" if cut else reason or ("tool_use" if called else "end_turn"), choice)


def _deltas(part: ReplyPart, words: list[str], index: int, choice: int, logprobs: int | None) -> Iterator[Delta]:
    if logprobs is None or isinstance(part, ReasoningPart):
        for word in words:
            yield Delta(index, word, choice)
    else:
        for word in words:
            yield Delta(index, word, choice, (_logprob(word, logprobs),))
    if isinstance(part, ReasoningPart) and part.signature:
        yield Delta(index, "", choice, signature=part.signature)


def _logprob(word: str, alternatives: int) -> TokenLogprob:
    chosen = TokenLogprob(word, 0.0, word.encode("utf-8", "surrogatepass"))
    others = (TokenLogprob(f"{word}~{i}", -100.0 - i) for i in range(1, alternatives))
    return TokenLogprob(word, 0.0, chosen.bytes, (chosen, *others) if alternatives else ())


def _until_stop(words: list[str], stops: tuple[str, ...]) -> tuple[list[str], str | None]:
    """Cuts before the stop sequence that comes first (it may straddle words)."""
    text = "".join(words)
    found = [(place, stop) for stop in stops if stop and (place := text.find(stop)) >= 0]
    if not found:
        return words, None
    place, stop = min(found, key=lambda item: item[0])
    return pieces(text[:place]), stop


def _call_id(part: ToolUsePart, index: int, choice: int) -> str:
    seed = f"{choice} {index} {part.name} {compact(part.arguments)}"
    return part.id or "call_" + hashlib.blake2s(seed.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
