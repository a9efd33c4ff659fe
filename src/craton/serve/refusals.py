"""What a model cannot do is refused before it runs; nothing is approximated and nothing silently dropped."""

from __future__ import annotations

from collections.abc import Callable

from craton.core.chat import ChatRequest, DocumentPart, ImagePart, Part, ToolResultPart, ToolUsePart
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.model import Capabilities, ModelInfo, Verb

Need = Callable[[ChatRequest, Capabilities], bool]


def _parts(request: ChatRequest) -> list[Part]:
    return [part for message in request.messages for part in message.parts] + list(request.system)


def _uses_tools(request: ChatRequest) -> bool:
    return bool(request.tools) or any(isinstance(part, ToolUsePart | ToolResultPart) for part in _parts(request))


def _has(request: ChatRequest, kind: type) -> bool:
    return any(
        isinstance(part, kind)
        or (isinstance(part, ToolResultPart) and any(isinstance(inner, kind) for inner in part.content))
        for part in _parts(request)
    )


_UNMET: tuple[tuple[str, Need], ...] = (
    ("Filling a gap (suffix)", lambda request, can: request.form == "gap" and not can.gaps),
    ("Completing a text", lambda request, can: request.form == "text" and not can.text),
    ("Tool use", lambda request, can: can.tools == "none" and _uses_tools(request)),
    ("Structured output", lambda request, can: not can.output_schema and request.output_schema is not None),
    ("Image input", lambda request, can: not can.images and _has(request, ImagePart)),
    ("Document input", lambda request, can: not can.documents and _has(request, DocumentPart)),
    ("More than one choice (n)", lambda request, can: not can.many_choices and request.sampling.n > 1),
    ("Log probabilities", lambda request, can: can.top_logprobs < 0 and request.sampling.logprobs is not None),
    ("A seed", lambda request, can: not can.seed and request.sampling.seed is not None),
    ("logit_bias", lambda request, can: not can.logit_bias and bool(request.sampling.logit_bias)),
    (
        "A frequency or presence penalty",
        lambda request, can: (
            not can.penalties and bool(request.sampling.frequency_penalty or request.sampling.presence_penalty)
        ),
    ),
    (
        "Reasoning",
        lambda request, can: not can.reasoning and request.reasoning is not None and request.reasoning.enabled,
    ),
    ("A guardrail", lambda request, _: request.guardrail is not None),
)


def refuse_verb(info: ModelInfo, verb: Verb) -> None:
    """Raises Unsupported when the model is of another kind ("embed" asked of a chat model)."""
    if verb not in info.verbs:
        reason = (info.details or {}).get("refused")
        hint = f"Craton cannot run it: {reason}" if reason else f"This model can do: {' and '.join(info.verbs)}."
        raise Unsupported(f"{verb!r} with the model {info.id!r}", hint)


def refuse_unmet(info: ModelInfo, can: Capabilities, request: ChatRequest) -> None:
    """Raises Unsupported for the first thing in the request that this model's engine does not do."""
    for what, unmet in _UNMET:
        if unmet(request, can):
            raise Unsupported(f"{what} with the model {info.id!r}", "Use another model, or leave it out.")
    wanted = request.sampling.logprobs
    if wanted is not None and wanted > can.top_logprobs:
        raise InvalidRequest(f"at most {can.top_logprobs} alternatives can be reported", "sampling.logprobs")


def refuse_contradictions(request: ChatRequest) -> None:
    """Raises InvalidRequest for requests that no model could answer."""
    if not request.messages:
        raise InvalidRequest("at least one message is needed", "messages")
    names = [tool.name for tool in request.tools]
    if len(set(names)) != len(names):
        raise InvalidRequest("tool names must differ", "tools")
    choice = request.tool_choice
    if choice.mode in {"any", "tool"} and not request.tools:
        raise InvalidRequest("a tool is required, but no tools are given", "tool_choice")
    if choice.mode == "tool" and choice.name not in names:
        raise InvalidRequest(f"there is no tool {choice.name!r} among the tools", "tool_choice")
