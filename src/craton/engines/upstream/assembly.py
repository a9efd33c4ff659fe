"""Puts what a provider streams into the order that `core.events.Event` states."""

from __future__ import annotations

from msgspec import Struct

from craton.core.events import Delta, Event, PartEnded, PartStarted, Stop, StopReason, TokenLogprob
from craton.engines.upstream.failures import Malformed


class _Answer:
    """One choice while it arrives."""

    def __init__(self) -> None:
        self.next_index = 0
        self.open: PartStarted | None = None
        self.used_tools = False
        self.stopped = False


class Progress(Struct, frozen=True):
    """How far an answer has come. deltas: pieces of text of all choices, about one for each token."""

    stopped: int
    deltas: int
    logprobs: int


class Assembler:
    """Opens and closes parts so that those of a choice never overlap. Each method gives the events to send on."""

    def __init__(self) -> None:
        self._answers: dict[int, _Answer] = {}
        self._deltas = 0
        self._logprobs = 0

    @property
    def progress(self) -> Progress:
        return Progress(sum(answer.stopped for answer in self._answers.values()), self._deltas, self._logprobs)

    def open_kind(self, choice: int = 0) -> str | None:
        """The kind of the part that is open, if one is."""
        opened = self._answer(choice).open
        return opened.kind if opened else None

    def used_tools(self, choice: int = 0) -> bool:
        return self._answer(choice).used_tools

    def text(self, text: str, choice: int = 0, logprobs: tuple[TokenLogprob, ...] = ()) -> list[Event]:
        return [*self._ensure("text", choice), self._delta(choice, text, logprobs=logprobs)]

    def reasoning(
        self, text: str = "", choice: int = 0, *, signature: str | None = None, redacted: bytes | None = None
    ) -> list[Event]:
        return [
            *self._ensure("reasoning", choice),
            self._delta(choice, text, signature=signature, redacted=redacted),
        ]

    def start(self, kind: str, choice: int = 0) -> list[Event]:
        """A new part, text or reasoning, even when one of its kind is open."""
        return [*self.end(choice), *self._ensure("reasoning" if kind == "reasoning" else "text", choice)]

    def start_tool(self, tool_id: str, name: str, choice: int = 0) -> list[Event]:
        if not tool_id or not name:
            raise Malformed("a tool call has no id or no name")
        ended = self.end(choice)
        answer = self._answer(choice)
        answer.used_tools = True
        answer.open = PartStarted(answer.next_index, "tool_use", choice, tool_id, name)
        return [*ended, answer.open]

    def arguments(self, text: str, choice: int = 0) -> list[Event]:
        answer = self._answer(choice)
        if answer.open is None or answer.open.kind != "tool_use":
            raise Malformed("the arguments of a tool call came outside of it")
        return [self._delta(choice, text)]

    def end(self, choice: int = 0) -> list[Event]:
        """Closes the part that is open, if one is."""
        answer = self._answer(choice)
        if answer.open is None:
            return []
        ended = PartEnded(answer.open.index, choice)
        answer.open, answer.next_index = None, answer.next_index + 1
        return [ended]

    def stop(self, reason: StopReason, choice: int = 0, sequence: str | None = None) -> list[Event]:
        ended = self.end(choice)
        self._answer(choice).stopped = True
        return [*ended, Stop(reason, choice, sequence)]

    def _answer(self, choice: int) -> _Answer:
        answer = self._answers.setdefault(choice, _Answer())
        if answer.stopped:
            raise Malformed("an answer went on after its end")
        return answer

    def _ensure(self, kind: str, choice: int) -> list[Event]:
        answer = self._answer(choice)
        if answer.open is not None and answer.open.kind == kind:
            return []
        ended = self.end(choice)
        answer.open = PartStarted(answer.next_index, "reasoning" if kind == "reasoning" else "text", choice)
        return [*ended, answer.open]

    def _delta(
        self,
        choice: int,
        text: str,
        *,
        logprobs: tuple[TokenLogprob, ...] = (),
        signature: str | None = None,
        redacted: bytes | None = None,
    ) -> Delta:
        answer = self._answer(choice)
        self._deltas += bool(text)
        self._logprobs += len(logprobs)
        return Delta(answer.next_index, text, choice, logprobs, signature, redacted)
