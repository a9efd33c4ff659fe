"""Core requests as the bodies that llama.cpp's server reads."""

from __future__ import annotations

import json

from craton.core.chat import ChatRequest, Json, Sampling
from craton.core.errors import InvalidRequest
from craton.engines.templates import part_text, template_messages, template_tools

MAX_TOP_LOGPROBS = 20


def conversation(request: ChatRequest) -> Json:
    """What the chat template sees: messages, tools and its variables. Counting and answering use the same."""
    messages = template_messages(request.messages, part_text(request.system))
    for message in messages:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)
    body: Json = {"messages": messages}
    choice = request.tool_choice
    if request.tools and choice.mode != "none":
        chosen = [tool for tool in request.tools if choice.mode != "tool" or tool.name == choice.name]
        if not chosen:
            raise InvalidRequest(f"there is no tool {choice.name!r}", "tool_choice")
        body["tools"] = template_tools(chosen)
        body["tool_choice"] = "auto" if choice.mode == "auto" else "required"
        body["parallel_tool_calls"] = choice.parallel
    if request.reasoning is not None:
        body["chat_template_kwargs"] = {"enable_thinking": request.reasoning.enabled}
        if request.reasoning.effort is not None:
            body["chat_template_kwargs"]["reasoning_effort"] = request.reasoning.effort
    return body


def chat_limits(request: ChatRequest) -> Json:
    """The part of a chat body that only shapes the answer."""
    sampling = request.sampling
    body = _sampling(sampling)
    body["stream_options"] = {"include_usage": True}
    body["n"] = sampling.n
    if sampling.logprobs is not None:
        body["logprobs"] = True
        body["top_logprobs"] = max(1, sampling.logprobs)
    if request.reasoning is not None and request.reasoning.budget_tokens is not None:
        body["thinking_budget_tokens"] = request.reasoning.budget_tokens
    return body


def completion_limits(sampling: Sampling) -> Json:
    """The same for a body that brings its own prompt."""
    body = _sampling(sampling)
    if sampling.logprobs is not None:
        body["n_probs"] = max(1, sampling.logprobs)
    return body


def _sampling(sampling: Sampling) -> Json:
    given: Json = {
        "n_predict": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "seed": None if sampling.seed is None else sampling.seed % 2**32,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
    }
    body = {key: value for key, value in given.items() if value is not None}
    if sampling.frequency_penalty or sampling.presence_penalty:
        body["repeat_last_n"] = -1  # over the whole text, as OpenAI's penalties count, not over the last 64 tokens
    if sampling.stop:
        body["stop"] = list(sampling.stop)
        body["verbose"] = True  # the last chunk then names the stop string that was met
    if sampling.logit_bias:
        body["logit_bias"] = [[token, bias] for token, bias in sampling.logit_bias.items()]
    return body
