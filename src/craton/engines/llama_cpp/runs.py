"""An answer with calls is written in one run of the model or in two; here is what they come to together."""

from __future__ import annotations

from craton.core.chat import Json
from craton.core.events import Stop, Usage
from craton.engines.llama_cpp.events import added, stopping_word, usage
from craton.engines.tool_prompting import CALL_OPEN


class Run:
    """What the one or two runs of an answer with calls have come to so far."""

    def __init__(self, max_tokens: int | None) -> None:
        self._max_tokens = max_tokens
        self._reason = "stop"
        self.text = ""
        self.word: str | None = None
        self.usage: Usage | None = None

    @property
    def left(self) -> int | None:
        """Tokens that may still be written, None when there is no limit."""
        if self._max_tokens is None or self.usage is None:
            return self._max_tokens
        return max(0, self._max_tokens - self.usage.output)

    def feed(self, chunk: Json) -> str:
        """Takes note of a chunk; its text."""
        counted = usage(chunk)
        if counted is not None:
            self.usage = added(self.usage, counted)
        text = ""
        for choice in chunk.get("choices", ())[:1]:
            text = choice.get("text") or ""
            self.text += text
            if choice.get("finish_reason"):
                self._reason, self.word = choice["finish_reason"], stopping_word(chunk)
        return text

    def stop(self, calls: int) -> Stop:
        if self._reason == "length" or self.left == 0:
            return Stop(reason="max_tokens")
        if calls:
            return Stop(reason="tool_use")
        if self.word and self.word != CALL_OPEN:
            return Stop(reason="stop_sequence", sequence=self.word)
        return Stop(reason="end_turn")
