"""A model as the platform sees it: what it is, what it can do, and the smaller requests beside chat."""

from __future__ import annotations

import array
from typing import Any, Literal

from msgspec import Struct

from craton.core.predicting import PredictVerb

Verb = Literal["chat", "embed", "classify", "fill", PredictVerb]
"""What a model is asked to do. More verbs (complete, rerank, make media) come with their engines."""


class Capabilities(Struct, frozen=True, omit_defaults=True):
    """What one engine can do with one model. `serve` refuses what is not here; nothing is approximated.

    tools: "native" (the model's own template and parser), "rendered" (into the prompt, with a grammar) or "none".
    top_logprobs: the most alternatives it can report; -1 when it reports no logprobs at all.
    text: whether it goes on with a text past the chat template; gaps: whether it fills one in the middle.
    concurrency: how many requests it runs at once; more wait in the queue.
    """

    verbs: tuple[Verb, ...]
    tools: Literal["native", "rendered", "none"] = "none"
    output_schema: bool = False
    reasoning: bool = False
    images: bool = False
    documents: bool = False
    top_logprobs: int = -1
    many_choices: bool = False
    seed: bool = False
    logit_bias: bool = False
    penalties: bool = False
    cached_tokens: bool = False
    lora: bool = False
    text: bool = False
    gaps: bool = False
    concurrency: int = 1


class ModelInfo(Struct, frozen=True, omit_defaults=True):
    """What is known of a model before it is loaded, read from its files' headers.

    id: the name callers use ("smollm2-135m-instruct", "acme/bert"). repo and revision: where it lives in the hub,
    empty for upstream models. engine: which engine runs it ("llama_cpp", "bert", "echo", "upstream").
    base: the model that this one is an adapter of ("acme/llama@main"), empty for a whole one.
    context_length and dimensions are tokens and vector components; size_bytes is the weights' size on disk.
    """

    id: str
    verbs: tuple[Verb, ...]
    engine: str
    format: str = ""
    repo: str = ""
    revision: str = ""
    base: str = ""
    architecture: str = ""
    family: str = ""
    provider: str = ""
    parameters: int | None = None
    quantisation: str = ""
    context_length: int | None = None
    dimensions: int | None = None
    layers: int | None = None
    kv_heads: int | None = None
    head_dimensions: int | None = None
    chat_template: str | None = None
    license: str = ""
    size_bytes: int = 0
    created: float = 0.0
    details: dict[str, Any] | None = None


class EmbedRequest(Struct, frozen=True, omit_defaults=True):
    """inputs: texts, or token ids. dimensions: shorten the vectors (and renormalise), None for the model's own.

    truncate: cut inputs longer than the model's window instead of refusing them.
    """

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    truncate: bool = False


class EmbedAnswer(Struct, frozen=True):
    """vectors: float32 little-endian, row-major, shape (len(tokens), dimensions), unit length.

    tokens: how many tokens of each input were read. estimated: an upstream provider told only their sum (which is
    kept, divided by the inputs' lengths) or nothing at all (guessed from the lengths).
    """

    vectors: bytes
    dimensions: int
    tokens: tuple[int, ...]
    estimated: bool = False

    def rows(self) -> list[list[float]]:
        """The vectors as lists, one for each input."""
        flat = array.array("f", self.vectors)
        return [flat[i : i + self.dimensions].tolist() for i in range(0, len(flat), self.dimensions)]


class ClassifyRequest(Struct, frozen=True, omit_defaults=True, tag="classify"):
    """Which of the model's labels each text has.

    function: what makes scores of the logits; None for what the model says of itself: softmax where a text has one
    label, sigmoid where it may have several. top: only so many of the best labels. seconds: texts that the model reads
    together with the inputs, one with each (a query with a document); empty for texts by themselves.
    """

    model: str
    inputs: tuple[str, ...]
    function: Literal["softmax", "sigmoid", "none"] | None = None
    top: int | None = None
    truncate: bool = False
    seconds: tuple[str, ...] = ()


class FillRequest(Struct, frozen=True, omit_defaults=True, tag="fill"):
    """What stands where each text has the tokenizer's mask token, once in each text.

    targets: only these tokens are looked at; each must be one token of the model. top: so many of the best.
    """

    model: str
    inputs: tuple[str, ...]
    targets: tuple[str, ...] = ()
    top: int = 5


class NextRequest(Struct, frozen=True, omit_defaults=True, tag="next"):
    """Which tokens may come after each text, as it stands: no chat template is put around it.

    top: so many of the likeliest. adapter: as in a ChatRequest.
    """

    model: str
    inputs: tuple[str, ...]
    top: int = 10
    adapter: str = ""


ScoreRequest = ClassifyRequest | FillRequest | NextRequest


class Score(Struct, frozen=True, omit_defaults=True):
    """label: the class's name or the token's text. token: its id, when a mask was filled or a token comes next. text:
    the input with it in place of the mask."""

    label: str
    score: float
    token: int = -1
    text: str = ""


class ScoreAnswer(Struct, frozen=True):
    """scores: of each input, the best first. tokens: how many tokens of each input were read."""

    scores: tuple[tuple[Score, ...], ...]
    tokens: tuple[int, ...]
