"""Webhooks on the wire: /api/settings/webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Struct

from craton.core.access import Action
from craton.core.errors import InvalidRequest
from craton.hub.collaboration.webhooks import Domain, NewWebhook, Watched, Webhook, WebhookChange, Webhooks
from craton.wire.body import Refusal, read_body
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.naming import hub_route

ROOT = "/api/settings/webhooks"
_JOBS = "A webhook here calls a URL; it starts no job."
_REFUSED = {"jobSourceId": Refusal(hint=_JOBS), "secrets": Refusal(hint=_JOBS)}


class Hook(Struct, frozen=True):
    """Clients send an empty `watched` when it is to stay."""

    watched: tuple[Watched, ...] = ()
    url: str | None = None
    domains: tuple[Domain, ...] | None = None
    secret: str | None = None


_HOOK = msgspec.json.Decoder(Hook)


class WebhookRoutes:
    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    def routes(self) -> list[Route]:
        one, write = f"{ROOT}/{{webhook}}", Action.WRITE
        return [
            hub_route("GET", ROOT, "ListWebhooks", self._list, write, note="Shows secrets, so a reader may not."),
            hub_route("POST", ROOT, "CreateWebhook", self._create, write),
            hub_route("GET", one, "GetWebhook", self._get, write, note="Shows the secret, so a reader may not."),
            hub_route("POST", one, "UpdateWebhook", self._change, write),
            hub_route("DELETE", one, "DeleteWebhook", self._delete, write),
            hub_route("POST", f"{one}/enable", "EnableWebhook", self._switch(disabled=False), write),
            hub_route("POST", f"{one}/disable", "DisableWebhook", self._switch(disabled=True), write),
        ]

    async def _list(self, request: Request) -> Reply:
        found = await asyncio.to_thread(self._webhooks.list, request.authenticated.tenant)
        return json_reply(200, [_webhook(it) for it in found])

    async def _create(self, request: Request) -> Reply:
        asked = read_body(_HOOK, request.body, _REFUSED)
        if asked.url is None:
            raise InvalidRequest("it is missing", "url")
        new = NewWebhook(asked.url, asked.watched, asked.domains or ("repo", "discussion"), asked.secret)
        return _one(await asyncio.to_thread(self._webhooks.create, request.authenticated.tenant, new))

    async def _get(self, request: Request) -> Reply:
        return _one(
            await asyncio.to_thread(self._webhooks.get, request.authenticated.tenant, request.params["webhook"])
        )

    async def _change(self, request: Request) -> Reply:
        asked = read_body(_HOOK, request.body, _REFUSED)
        change = WebhookChange(asked.url, asked.watched or None, asked.domains or None, asked.secret)
        tenant, id = request.authenticated.tenant, request.params["webhook"]
        return _one(await asyncio.to_thread(self._webhooks.change, tenant, id, change))

    async def _delete(self, request: Request) -> Reply:
        await asyncio.to_thread(self._webhooks.delete, request.authenticated.tenant, request.params["webhook"])
        return json_reply(200, {"success": True})

    def _switch(self, *, disabled: bool) -> Callable[[Request], Awaitable[Reply]]:
        async def handler(request: Request) -> Reply:
            tenant, id = request.authenticated.tenant, request.params["webhook"]
            return _one(await asyncio.to_thread(lambda: self._webhooks.switch(tenant, id, disabled=disabled)))

        return handler


def _one(found: Webhook) -> Reply:
    return json_reply(200, {"webhook": _webhook(found)})


def _webhook(found: Webhook) -> dict[str, Any]:
    return {
        "id": found.id,
        "url": found.url,
        "watched": [{"type": it.type, "name": it.name} for it in found.watched],
        "domains": list(found.domains),
        "secret": found.secret,
        "disabled": found.disabled,
    }
