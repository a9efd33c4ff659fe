"""Whether a model really answers: it is loaded and asked for one token, or one vector."""

from __future__ import annotations

import asyncio

from craton.core.chat import ChatRequest, Message, Sampling, TextPart
from craton.core.errors import Unsupported
from craton.core.model import EmbedRequest
from craton.core.streams import closing
from craton.serve.deadline import by, until
from craton.serve.loaded import Loaded
from craton.serve.target import Target

PATIENCE = 600.0  # seconds for a place among those who ask, and for the answer


async def probe(loaded: Loaded, target: Target) -> None:
    """Raises Unsupported for a model that neither writes nor embeds, and what the asking raises."""
    info = target.info
    ends = asyncio.get_running_loop().time() + PATIENCE
    if "chat" in info.verbs:
        request = ChatRequest(info.id, (Message("user", (TextPart("Hello"),)),), sampling=Sampling(max_tokens=1))
        async with loaded.slot(target, ends):
            events = loaded.engine.chat(request)
            async with closing(until(ends, events, PATIENCE)) as answer:
                async for _ in answer:
                    pass
    elif "embed" in info.verbs:
        async with loaded.slot(target, ends):
            await by(ends, loaded.engine.embed(EmbedRequest(info.id, ("Hello",))), PATIENCE)
    else:
        raise not_served(target)


def not_served(target: Target) -> Unsupported:
    reason = (target.info.details or {}).get("refused") or "it neither chats nor embeds"
    return Unsupported(f"Deploying {target.info.id!r}", f"No engine here runs it: {reason}.")
