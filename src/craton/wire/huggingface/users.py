"""What is told of users (tenants) and organizations (namespaces). Nobody follows anybody here: that is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from craton.core.access import Action
from craton.core.errors import Unsupported
from craton.hub.collaboration.users import Users
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.naming import hub_route

REFUSED = {
    "/api/users/{name}/followers": "ListUserFollowers",
    "/api/users/{name}/following": "ListUserFollowing",
    "/api/organizations/{name}/followers": "ListOrganizationFollowers",
    "/api/organizations/{name}/members": "ListOrganizationMembers",
}


class UserRoutes:
    def __init__(self, users: Users) -> None:
        self._users = users

    def routes(self) -> list[Route]:
        note = "Counts what the caller may see."
        user, organization = "/api/users/{name}/overview", "/api/organizations/{name}/overview"
        return [
            hub_route("GET", user, "GetUserOverview", self._user, Action.READ, note=note),
            hub_route("GET", organization, "GetOrganizationOverview", self._organization, Action.READ, note=note),
            *(
                hub_route("GET", pattern, operation, _refuse(operation), Action.READ, status="refused")
                for pattern, operation in REFUSED.items()
            ),
            hub_route(
                "POST", "/uploads", "UploadAttachment", _refuse("UploadAttachment"), Action.WRITE, status="refused"
            ),
        ]

    async def _user(self, request: Request) -> Reply:
        name = request.params["name"]
        found = await asyncio.to_thread(self._users.user, request.authenticated.tenant, name)
        return json_reply(
            200,
            {
                "user": name,
                "fullname": name,
                "type": "user",
                "avatarUrl": "",
                "isPro": False,
                "numModels": found.repositories.get("model", 0),
                "numDatasets": found.repositories.get("dataset", 0),
                "numSpaces": found.repositories.get("space", 0),
                "numDiscussions": found.discussions,
                "numLikes": found.likes,
                "orgs": [{"name": it, "fullname": it, "avatarUrl": ""} for it in found.namespaces if it != name],
            },
        )

    async def _organization(self, request: Request) -> Reply:
        name = request.params["name"]
        found = await asyncio.to_thread(self._users.namespace, request.authenticated.tenant, name)
        return json_reply(
            200,
            {
                "name": name,
                "fullname": name,
                "avatarUrl": "",
                "isVerified": False,
                "numModels": found.repositories.get("model", 0),
                "numDatasets": found.repositories.get("dataset", 0),
                "numSpaces": found.repositories.get("space", 0),
            },
        )


def _refuse(operation: str) -> Callable[[Request], Awaitable[Reply]]:
    async def handler(request: Request) -> Reply:
        raise Unsupported(f"The Hub's {operation}")

    return handler
