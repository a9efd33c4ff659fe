"""Counting tokens from a GGUF file's metadata, with no model loaded."""

from __future__ import annotations

from craton.core.chat import ChatRequest
from craton.core.errors import Unsupported
from craton.engines.llama_cpp.requests import conversation
from craton.engines.llama_cpp.tokenizer import GgufTokenizer
from craton.engines.protocol import EngineSpec
from craton.engines.templates import knows_tools, render
from craton.engines.tool_prompting import write_tools


class TokenCounter:
    """Counts what the loaded model would count, or refuses to exist."""

    def __init__(self, tokenizer: GgufTokenizer, template: str) -> None:
        self._tokenizer, self._template = tokenizer, template
        if knows_tools(template, tokenizer.bos_token, tokenizer.eos_token):
            raise Unsupported("counting tokens without the model for a template that knows tools")

    @classmethod
    def load(cls, spec: EngineSpec) -> TokenCounter:
        """Raises Unsupported where only llama.cpp itself counts exactly: an unknown pre-tokenizer, or a template with
        tools, which llama.cpp's own template engine prepares in ways of its own. Takes about two seconds."""
        if spec.info.chat_template is None:
            raise Unsupported(f"chat with {spec.model}, which has no chat template")
        path = next(path for name, path in sorted(spec.files.items()) if name.lower().endswith(".gguf"))
        return cls(GgufTokenizer.read(path), spec.info.chat_template)

    def count_tokens(self, request: ChatRequest) -> int:
        """Prompt tokens. Raises InvalidRequest when the template refuses the conversation.

        Raises Unsupported when it ends in the assistant's turn: llama.cpp takes that turn's end off in its own way.
        """
        body = conversation(write_tools(request))
        messages = body["messages"]
        if messages and messages[-1]["role"] == "assistant":
            raise Unsupported("counting tokens without the model for an answer that was begun")
        prompt = render(
            self._template,
            messages,
            bos_token=self._tokenizer.bos_token,
            eos_token=self._tokenizer.eos_token,
            **body.get("chat_template_kwargs", {}),
        )
        return len(self._tokenizer.tokens(prompt))
