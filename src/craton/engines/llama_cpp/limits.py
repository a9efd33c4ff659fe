"""What a llama.cpp model can do, and what it refuses before any work: the same for the model and for its counter."""

from __future__ import annotations

import math

from craton.core.chat import ChatRequest
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.model import Capabilities
from craton.engines.llama_cpp.requests import MAX_TOP_LOGPROBS
from craton.engines.tool_prompting import callable_tools


def capabilities(template: str | None, *, native_tools: bool, parallel: int, gaps: bool = False) -> Capabilities:
    """template: None when the model has none, and cannot chat. parallel: requests at once. gaps: whether it has marks
    for what stands around a gap."""
    return Capabilities(
        verbs=("chat",) if template is not None else (),
        tools="native" if native_tools else "rendered",
        output_schema=True,
        reasoning=template is not None and ("<think>" in template or "reasoning" in template),
        top_logprobs=MAX_TOP_LOGPROBS,
        many_choices=True,
        seed=True,
        logit_bias=True,
        penalties=True,
        cached_tokens=True,
        text=template is not None,
        gaps=gaps,
        concurrency=parallel,
    )


def check(request: ChatRequest, parallel: int) -> None:
    """Raises InvalidRequest or Unsupported for what no model of this engine answers."""
    sampling = request.sampling
    if not request.messages:
        raise InvalidRequest("there is no message", "messages")
    if sampling.max_tokens is not None and sampling.max_tokens < 1:
        raise InvalidRequest("at least 1", "sampling.max_tokens")
    if not 1 <= sampling.n <= parallel:
        raise InvalidRequest(f"between 1 and {parallel}", "sampling.n")
    if sampling.logprobs is not None and not 0 <= sampling.logprobs <= MAX_TOP_LOGPROBS:
        raise InvalidRequest(f"between 0 and {MAX_TOP_LOGPROBS}", "sampling.logprobs")
    numbers = (sampling.temperature, sampling.top_p, sampling.min_p)
    if not all(math.isfinite(number) for number in numbers if number is not None):
        raise InvalidRequest("numbers must be finite", "sampling")
    if any(not word for word in sampling.stop):
        raise InvalidRequest("a stop sequence is empty", "sampling.stop")
    if request.output_schema is not None and callable_tools(request):
        raise Unsupported("an output schema together with tools")
