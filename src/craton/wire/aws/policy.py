"""What each operation of these services asks of its caller: the one table."""

from __future__ import annotations

from craton.core.access import Action
from craton.wire.aws.service import Operation

_INVOKES = frozenset(
    {
        "ApplyGuardrail",
        "Converse",
        "ConverseStream",
        "CountTokens",
        "GenerateQuery",
        "InvokeAgent",
        "InvokeEndpoint",
        "InvokeEndpointAsync",
        "InvokeEndpointWithResponseStream",
        "InvokeFlow",
        "InvokeGuardrailChecks",
        "InvokeInlineAgent",
        "InvokeModel",
        "InvokeModelWithBidirectionalStream",
        "InvokeModelWithResponseStream",
        "OptimizePrompt",
        "AgenticRetrieveStream",
        "Rerank",
        "Retrieve",
        "RetrieveAndGenerate",
        "RetrieveAndGenerateStream",
    }
)


def action_of(operation: Operation) -> Action:
    """Running a model: INVOKE. Looking: READ. Anything else, and anything new: WRITE."""
    if operation.name in _INVOKES:
        return Action.INVOKE
    if operation.readonly or operation.name.startswith(("Get", "List", "Check")):
        return Action.READ
    return Action.WRITE
