"""Models under URLs of their own, as `huggingface_hub.InferenceClient(model=URL)` calls them.

    POST /models/{namespace}/{name}                     the task that the body, or else the model, is about
    POST /models/{namespace}/{name}/pipeline/{task}     that task

A name alone is one of Craton's own models; @revision may follow either. Chat is below /v1, and below
/models/{namespace}/{name}/v1, in OpenAI's words, which `chat_completion` speaks.
Source: huggingface_hub `inference/_client.py` and `inference/_providers/hf_inference.py`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

from craton.core.access import Action
from craton.core.errors import NotFound, Unsupported
from craton.core.model import EmbedRequest
from craton.serve.inference import Call, Scoring
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.errors import identified
from craton.wire.huggingface.naming import DIALECT, hub_route
from craton.wire.huggingface.tasks import (
    Similar,
    Texts,
    read_classification,
    read_masked,
    read_similar,
    read_texts,
    task_of,
)
from craton.wire.ran import RAN

MAX_BODY = 32 * 1024 * 1024
CHAT_HINT = "Use `chat_completion` with base_url set to this server's address."

Answer = Callable[[Call, str, bytes], Awaitable[Any]]
"""Of a call, the model's name and the body: what is written as JSON."""


class InferenceRoutes:
    """What a model that is not chatted with answers: vectors, how alike sentences are, labels, words behind masks."""

    def __init__(self, serving: Scoring) -> None:
        self._serving = serving
        self._tasks: dict[str, Answer] = {
            "feature-extraction": self._vectors,
            "sentence-similarity": self._likeness,
            "text-classification": self._labels,
            "fill-mask": self._words,
        }

    def routes(self) -> list[Route]:
        note = f"Tasks: {', '.join(sorted(self._tasks))}. Every other one is refused."
        return [
            hub_route(
                "POST",
                f"/models/{model}{rest}",
                operation,
                self._run,
                Action.INVOKE,
                note=note,
                max_body=MAX_BODY,
            )
            for model in ("{namespace}/{name}", "{name}")
            for rest, operation in (("", "RunModel"), ("/pipeline/{task}", "RunTask"))
        ]

    async def _run(self, request: Request) -> Reply:
        caller, params = request.authenticated, request.params
        name = "/".join(params[part] for part in ("namespace", "name") if part in params)
        try:
            info = await self._serving.model(caller, name)
        except NotFound as error:
            raise NotFound("repository", name, error.hint) from error
        task = params.get("task") or task_of(request.body, info.verbs)
        answer = self._tasks.get(task)
        if answer is None:
            chats = task in {"text-generation", "conversational"}
            raise Unsupported(f"The task {task[:60]!r} under a model's URL", CHAT_HINT if chats else "")
        call = Call(caller, request.request_id, DIALECT, task)
        written = await answer(call, name, request.body)
        return json_reply(200, written, {**identified(request), RAN: info.id})

    async def _vectors(self, call: Call, model: str, body: bytes) -> Any:
        """One vector for a text, a list of them for a list."""
        asked: Texts = read_texts(body)
        embed = EmbedRequest(model, asked.inputs, asked.dimensions, asked.truncate)
        rows = (await self._serving.embed(call, embed)).rows()
        return rows if asked.many else rows[0]

    async def _likeness(self, call: Call, model: str, body: bytes) -> Any:
        """The cosine of each sentence's angle with the first one."""
        asked: Similar = read_similar(body)
        answer = await self._serving.embed(call, EmbedRequest(model, (asked.source, *asked.sentences)))
        return await asyncio.to_thread(_cosines, answer.rows())

    async def _labels(self, call: Call, model: str, body: bytes) -> Any:
        """A list of labels for each text, for a lone one too."""
        answer = await self._serving.score(call, read_classification(body, model))
        return [[{"label": it.label, "score": it.score} for it in scores] for scores in answer.scores]

    async def _words(self, call: Call, model: str, body: bytes) -> Any:
        """The words for a text, a list of such lists for a list."""
        asked, many = read_masked(body, model)
        answer = await self._serving.score(call, asked)
        rows = [
            [{"score": it.score, "token": it.token, "token_str": it.label, "sequence": it.text} for it in scores]
            for scores in answer.scores
        ]
        return rows if many else rows[0]


def _cosines(rows: list[list[float]]) -> list[float]:
    """Of the first with every other; all are of unit length."""
    first = rows[0]
    return [math.fsum(a * b for a, b in zip(first, row, strict=True)) for row in rows[1:]]
