"""Counting tokens from a GGUF file's metadata, with no model loaded."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from craton.core.chat import ChatRequest, Json
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.events import Event
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest
from craton.engines.llama_cpp.limits import capabilities, check
from craton.engines.llama_cpp.options import settle
from craton.engines.llama_cpp.requests import conversation
from craton.engines.llama_cpp.tokenizer import GgufTokenizer
from craton.engines.protocol import EngineSpec
from craton.engines.templates import knows_tools, render
from craton.engines.tool_prompting import write_tools

_PROBE = "craton probe"


class TokenCounter:
    """An `Engine` that only counts: what the loaded model would count, or it refuses to exist.

    Everything runs on the event loop on purpose: a template without an end stops the heartbeat, which ends the worker.
    """

    def __init__(self, tokenizer: GgufTokenizer, template: str, parallel: int) -> None:
        """parallel: requests that the loaded model would run at once. Raises Unsupported (see `load`)."""
        self._tokenizer, self._template, self._parallel = tokenizer, template, parallel
        if knows_tools(template) or knows_tools(template, tokenizer.bos_token, tokenizer.eos_token):
            raise Unsupported("counting tokens without the model for a template that knows tools")
        self._takes_system = self._shows_system()
        if _PROBE not in self._render([_said("user")]):
            raise Unsupported("counting tokens without the model for a template that wants messages of another form")

    @classmethod
    def load(cls, spec: EngineSpec) -> TokenCounter:
        """Takes 0.2 s for 50,000 tokens.

        Raises Unsupported where only llama.cpp itself counts exactly: an unknown pre-tokenizer, or a template with
        tools, which llama.cpp's own template engine prepares in ways of its own; InvalidRequest for bad options and
        Damaged for bad files, as the model would.
        """
        options = settle(spec)
        if spec.info.chat_template is None:
            raise Unsupported(f"chat with {spec.model}, which has no chat template")
        return cls(GgufTokenizer.read(options.path), spec.info.chat_template, options.parallel)

    @property
    def capabilities(self) -> Capabilities:
        """The model's: what it would refuse is not counted either."""
        return capabilities(self._template, native_tools=False, parallel=self._parallel)

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        raise Unsupported("chat with a counter of tokens")
        yield  # an async generator, as every engine's chat

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        raise Unsupported("embedding with a counter of tokens")

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        raise Unsupported("scoring with a counter of tokens")

    async def predict(self, request: PredictorRequest) -> PredictAnswer:
        raise Unsupported("predicting with a counter of tokens")

    async def count_tokens(self, request: ChatRequest) -> int:
        """Prompt tokens.

        Raises Unsupported where llama.cpp prepares the conversation in ways of its own: it takes off the end of an
        assistant's turn that comes last, and gives a template that refuses a conversation (a system prompt, say)
        another one.
        """
        check(request, self._parallel)
        body = conversation(write_tools(request))
        messages = body["messages"]
        if messages[-1]["role"] == "assistant":
            raise Unsupported("counting tokens without the model for an answer that was begun")
        if messages[0]["role"] == "system" and not self._takes_system:
            raise Unsupported("counting tokens without the model for a template without system prompts")
        return len(self._tokenizer.tokens(self._render(messages, **body.get("chat_template_kwargs", {}))))

    def _shows_system(self) -> bool:
        try:
            return _PROBE in self._render([_said("system"), {"role": "user", "content": "Hi"}])
        except Unsupported:
            return False

    def _render(self, messages: list[Json], **variables: Any) -> str:
        """Raises Unsupported when the template fails: llama.cpp may know what to do."""
        bos, eos = self._tokenizer.bos_token, self._tokenizer.eos_token
        try:
            return render(self._template, messages, bos_token=bos, eos_token=eos, **variables)
        except InvalidRequest as error:
            raise Unsupported("counting tokens without the model", error.reason) from error

    async def close(self) -> None:
        """Nothing is held."""


def _said(role: str) -> Json:
    return {"role": role, "content": _PROBE}
