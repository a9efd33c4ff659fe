"""A text that goes on as it stands, and a gap in one that is filled.

Filling in the middle: Bavarian et al., 2022 (arXiv 2207.14255); Code Llama, 2023 (arXiv 2308.12950), 2.3. The order is
prefix, suffix, middle, as llama.cpp's own `/infill` has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from craton.core.chat import ChatRequest, Json, TextPart
from craton.core.errors import Unsupported
from craton.engines.llama_cpp.requests import completion_limits
from craton.formats.gguf import read_gguf_file

_KEY = "tokenizer.ggml"


class Marks(NamedTuple):
    """Tokens: what stands before the text in front of the gap, before the text behind it, and before the answer.
    first: what begins every text, None for nothing."""

    prefix: int
    suffix: int
    middle: int
    first: int | None

    def around(self, before: str, after: str) -> list[int | str]:
        """The prompt, as llama.cpp takes it: tokens, and texts to be cut into tokens."""
        start = [] if self.first is None else [self.first]
        return [*start, self.prefix, *_some(before), self.suffix, *_some(after), self.middle]


def read_marks(path: Path) -> Marks | None:
    """None for a model that fills no gaps. Raises Damaged."""
    said = read_gguf_file(path, path.name).metadata
    found = [said.get(f"{_KEY}.fim_{name}_token_id") for name in ("pre", "suf", "mid")]
    bos = said.get(f"{_KEY}.bos_token_id") if said.get(f"{_KEY}.add_bos_token") is True else None
    if not all(type(number) is int for number in found):
        return None
    prefix, suffix, middle = (int(number) for number in found if type(number) is int)
    return Marks(prefix, suffix, middle, bos if type(bos) is int else None)


def body(request: ChatRequest, marks: Marks | None, name: str) -> Json:
    """Of a request whose form is not "chat". Raises Unsupported for a gap without marks. name: of the model."""
    if request.sampling.n > 1:
        raise Unsupported("several completions of one text")
    texts = [part.text for part in request.messages[0].parts if isinstance(part, TextPart)]
    prompt: str | list[int | str] = "".join(texts)
    if request.form == "gap":
        if marks is None:
            raise Unsupported(f"filling a gap with {name}, which has no marks for one")
        prompt = marks.around(texts[0], texts[1])
    return completion_limits(request.sampling) | {"prompt": prompt}


def as_chat(chunk: Json) -> Json:
    """A completion's chunk in the form of a chat's."""
    choices = [{**choice, "delta": {"content": choice.get("text")}} for choice in chunk.get("choices", ())]
    return {**chunk, "choices": choices}


def _some(text: str) -> list[str]:
    return [text] if text else []
