"""Cards are checked before they are committed: clients ask on every upload of a README.md.

`RepoCard.push_to_hub` sends no key with the question, so strangers are answered too: they learn nothing but what they
sent, and what they send is bounded.
"""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Struct

from craton.core.access import Action
from craton.core.repo import RepoKind
from craton.hub.validating import Verdict, validate
from craton.wire.body import read_body
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.errors import identified
from craton.wire.huggingface.naming import hub_route

MAX_BODY = 1024 * 1024


class Asked(Struct, frozen=True):
    content: str
    repoType: str | None = None


_ASKED = msgspec.json.Decoder(Asked)


class CardRoutes:
    """Reads nothing and keeps nothing."""

    def routes(self) -> list[Route]:
        return [
            hub_route("POST", "/api/validate-yaml", "ValidateYaml", self._validate, Action.PUBLIC, max_body=MAX_BODY)
        ]

    async def _validate(self, request: Request) -> Reply:
        asked = read_body(_ASKED, request.body, {})
        kind: RepoKind = "dataset" if asked.repoType == "dataset" else "space" if asked.repoType == "space" else "model"
        verdict = await asyncio.to_thread(validate, asked.content, kind)
        if verdict.errors and request.headers.get("accept", "").startswith("text/plain"):
            text = "".join(f"- Error: {message}\n" for message in verdict.errors)
            return Reply(400, text.encode(), {"content-type": "text/plain; charset=utf-8", **identified(request)})
        return json_reply(400 if verdict.errors else 200, _written(verdict), identified(request))


def _written(verdict: Verdict) -> dict[str, list[dict[str, str]]]:
    return {
        "errors": [{"message": message} for message in verdict.errors],
        "warnings": [{"message": message} for message in verdict.warnings],
    }
