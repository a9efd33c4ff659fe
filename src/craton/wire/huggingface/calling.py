"""How a webhook is called: a POST of JSON in the Hub's shape (version 3), the secret in the header X-Webhook-Secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.hub.collaboration.outbox import Happening, Remark, Talk
from craton.hub.collaboration.webhooks import Webhook
from craton.wire.http import encode_json
from craton.wire.huggingface.naming import PLURALS

if TYPE_CHECKING:
    import httpx

VERSION = 3
TIMEOUT = 10.0  # seconds


class Caller:
    """client: gives the one outgoing client. base: this server's own address, for the payload's links. check_url:
    raises for what the operator does not let out: it may have changed since the webhook was made."""

    def __init__(
        self, client: Callable[[], httpx.AsyncClient], base: Callable[[], str], check_url: Callable[[str], None]
    ) -> None:
        self._client, self._base, self._check_url = client, base, check_url

    async def __call__(self, webhook: Webhook, happening: Happening, delivery: str) -> None:
        """Raises when the answer is no success. Redirects are not followed; what the receiver says is not read."""
        self._check_url(webhook.url)
        headers = {
            "content-type": "application/json",
            "user-agent": "craton-webhook",
            "x-webhook-id": webhook.id,
            "x-webhook-delivery": delivery,
        }
        if webhook.secret is not None:
            headers["x-webhook-secret"] = webhook.secret
        body = encode_json(write_payload(happening, webhook.id, self._base()))
        async with self._client().stream("POST", webhook.url, content=body, headers=headers, timeout=TIMEOUT) as answer:
            if not answer.is_success:
                raise InvalidRequest(f"the receiver answered {answer.status_code}", "webhook")


def write_payload(it: Happening, webhook: str, base: str) -> dict[str, Any]:
    plural, prefix = PLURALS[it.kind], "" if it.kind == "model" else f"/{PLURALS[it.kind]}"
    web, api = f"{base}{prefix}/{it.name}", f"{base}/api/{plural}/{it.name}"
    body: dict[str, Any] = {
        "event": {"action": it.action, "scope": it.scope},
        "repo": {
            "type": it.kind,
            "name": it.name,
            "id": it.repository,
            "private": it.private,
            "url": {"web": web, "api": api},
            "owner": {"id": it.owner},
        },
        "webhook": {"id": webhook, "version": VERSION},
    }
    if it.head is not None:
        body["repo"]["headSha"] = it.head
    if it.refs:
        body["updatedRefs"] = [{"ref": ref.ref, "oldSha": ref.old, "newSha": ref.new} for ref in it.refs]
    if it.config is not None:
        body["updatedConfig"] = it.config
    if it.moved_to is not None:
        body["movedTo"] = {"name": it.moved_to, "owner": {"id": it.owner}}
    if it.discussion is not None:
        body["discussion"] = _discussion(it.discussion, it.repository, web, api)
        if it.comment is not None:
            body["comment"] = _comment(it.comment, it.discussion, web)
    return body


def _discussion(it: Talk, repository: str, web: str, api: str) -> dict[str, Any]:
    place = f"discussions/{it.number}"
    body: dict[str, Any] = {
        "id": f"{repository}-{it.number}",
        "num": it.number,
        "title": it.title,
        "author": {"id": it.author},
        "status": it.status,
        "isPullRequest": it.target is not None,
        "pinned": False,
        "url": {"web": f"{web}/{place}", "api": f"{api}/{place}"},
    }
    if it.target is not None:
        body["changes"] = {"base": f"refs/heads/{it.target}"}
        if it.merged is not None:
            body["changes"]["mergeCommitId"] = it.merged
    return body


def _comment(it: Remark, discussion: Talk, web: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": it.id,
        "author": {"id": it.author},
        "hidden": it.hidden,
        "url": {"web": f"{web}/discussions/{discussion.number}#{it.id}"},
    }
    if not it.hidden:
        body["content"] = it.text
    return body
