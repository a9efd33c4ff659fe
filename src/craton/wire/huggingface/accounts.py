"""Who is calling, in the Hub's words: a tenant is a user, the namespaces that it writes to are its organizations."""

from __future__ import annotations

import asyncio
from typing import Any

from craton.access.policy import ALLOWED
from craton.core.access import Action, Caller
from craton.hub.repositories import Hub
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.naming import hub_route


class AccountRoutes:
    """Clients ask before they upload to a name without a namespace, and when somebody logs in."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self) -> list[Route]:
        return [hub_route("GET", "/api/whoami-v2", "WhoAmI", self._whoami, Action.READ)]

    async def _whoami(self, request: Request) -> Reply:
        caller = request.authenticated
        namespaces = await asyncio.to_thread(self._hub.namespaces, caller.tenant)
        return json_reply(200, _written(caller, namespaces))


def _written(caller: Caller, namespaces: list[str]) -> dict[str, Any]:
    writes = Action.WRITE in ALLOWED.get(caller.role, frozenset())
    role = "write" if writes else "read"
    return {
        "type": "user",
        "id": caller.tenant,
        "name": caller.tenant,
        "fullname": caller.tenant,
        "avatarUrl": "",
        "isPro": False,
        "orgs": [
            {"type": "org", "id": name, "name": name, "fullname": name, "avatarUrl": "", "roleInOrg": role}
            for name in namespaces
            if name != caller.tenant
        ],
        "auth": {
            "type": "access_token",
            "accessToken": {"displayName": caller.key_name or caller.key_id, "role": role},
        },
    }
