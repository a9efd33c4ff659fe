"""From what records say to tokens, and which of them are learned: of a conversation the answers alone.

A conversation is rendered by the base's own chat template up to each answer, and through it; what the answer added is
what the model would have to write. Each piece is tokenised by itself, because that is how a prompt and what follows it
meet when the model is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

from craton.core.errors import InvalidRequest
from craton.training.tuning.conversations import Conversation, Messages


class Sample(NamedTuple):
    """ids: tokens. learned: of each, whether its prediction counts."""

    ids: list[int]
    learned: list[bool]

    def cut(self, length: int) -> Sample:
        return Sample(self.ids[:length], self.learned[:length])

    @property
    def answers(self) -> int:
        """Tokens whose prediction counts; the first one is never predicted."""
        return sum(self.learned[1:])


class Sampler:
    """tokenizer: transformers' own."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._begin = self._special("bos") if self._begins() else ""
        self._end: str = tokenizer.eos_token or ""

    def conversation(self, said: Conversation) -> Sample:
        """Raises InvalidRequest when the base's template cannot render it."""
        if self._tokenizer.chat_template is None:
            if not said.plain:
                raise InvalidRequest(
                    'the base has no chat template, so conversations mean nothing to it: use "prompt" and "completion"'
                )
            prompt, answer = (message["content"] for message in said.messages)
            return self.pieces([(self._begin + prompt, False), (answer + self._end, True)])
        return self.pieces([*self._rendered(said.messages)])

    def text(self, text: str) -> Sample:
        """All of it is learned, and where it ends."""
        return self.pieces([(self._begin + text + self._end, True)])

    def prompt(self, messages: Messages) -> str:
        """What the model is given before it answers."""
        return self._render(messages, asking=True)

    def asked(self, messages: Messages) -> list[int]:
        """The tokens after which the model answers. Raises InvalidRequest."""
        if self._tokenizer.chat_template is not None:
            text = self._render(messages, asking=True)
        elif len(messages) == 1:
            text = messages[0]["content"]
        else:
            raise InvalidRequest("the base has no chat template, so conversations mean nothing to it: use a prompt")
        begin = "" if text.startswith(self._begin) else self._begin
        found: list[int] = self._tokenizer(begin + text, add_special_tokens=False).input_ids
        return found

    def pieces(self, pieces: list[tuple[str, bool]]) -> Sample:
        ids: list[int] = []
        learned: list[bool] = []
        for mine, group in groupby(pieces, key=lambda piece: piece[1]):
            text = "".join(piece for piece, _ in group)
            found = self._tokenizer(text, add_special_tokens=False).input_ids
            ids += found
            learned += [mine] * len(found)
        return Sample(ids, learned)

    def _rendered(self, messages: Messages) -> Iterator[tuple[str, bool]]:
        """Pieces of the whole text, and whether they are an answer."""
        done = ""
        for number, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            asked = self._render(messages[:number], asking=True)
            through = self._render(messages[: number + 1], asking=False)
            if not asked.startswith(done) or not through.startswith(asked):
                raise InvalidRequest(
                    f"messages[{number}]: the base's chat template writes earlier messages otherwise once more follow; "
                    "make a record of each answer"
                )
            yield (self._begin if not done and not asked.startswith(self._begin) else "") + asked[len(done) :], False
            answer, after = self._answer(through[len(asked) :])
            yield answer, True
            if after:
                yield after, False
            done = through

    def _answer(self, text: str) -> tuple[str, str]:
        """What follows the sign of the end (a line's end, mostly) is the template's, not the model's."""
        ends = text.rstrip()
        return (ends, text[len(ends) :]) if self._end and ends.endswith(self._end) else (text, "")

    def _render(self, messages: Messages, *, asking: bool) -> str:
        from jinja2.exceptions import TemplateError

        try:
            text: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asking)
        except TemplateError as error:
            raise InvalidRequest(f"the base's chat template refuses it: {error}"[:300]) from error
        return text

    def _begins(self) -> bool:
        """Whether the tokenizer puts its sign of the beginning before every text."""
        special = self._tokenizer("a").input_ids
        return bool(special) and special[0] == self._tokenizer.bos_token_id and len(special) > 1

    def _special(self, name: str) -> str:
        return getattr(self._tokenizer, f"{name}_token") or ""
