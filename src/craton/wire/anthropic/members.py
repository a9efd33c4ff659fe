"""The members of Anthropic's bodies that Craton does not act on: what each is, and whether it may be passed over."""

from __future__ import annotations

from craton.wire.body import Refusal

HARMLESS = {
    "betas": "names of beta features; their members are judged one by one",
    "metadata": "labels of the caller's own",
    "service_tier": "a price class; the answer says none",
    "user_profile_id": "a label for the end user",
    "workspace_id": "which of Anthropic's workspaces pays",
}
"""Accepted and not acted on: the answer would be the same."""

REFUSED = {
    "billing_policy": Refusal(),
    "compaction": Refusal(),
    "container": Refusal(hint="Craton runs no code for a model."),
    "context_management": Refusal(),
    "diagnostics": Refusal(),
    "fallback_credit_token": Refusal(),
    "fallbacks": Refusal(([],)),
    "inference_geo": Refusal(hint="Craton runs where it was started."),
    "mcp_servers": Refusal(([],), "Call the servers from your own program, and send their tools."),
    "speed": Refusal(("standard",)),
    "thread": Refusal(hint="Send the whole conversation with each request."),
}
"""Refused with anything but these values: passing them over would change the answer, or break a promise."""
