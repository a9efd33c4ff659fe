"""No route answers a stranger. The routes come from the table itself, so a new one is covered the day it appears."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Iterator

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from craton.access.keys import Keys
from craton.access.root import load_master
from craton.access.tenants import Tenants
from craton.app.build import Server
from craton.app.config import Home
from craton.app.platform import open_platform
from craton.core.access import Action, KeyRole
from craton.store.database import Database
from craton.wire.http import Route
from tests.servers import RunningServer

# To validate-yaml stock clients send no key.
PUBLIC = {"/healthz", "/readyz", "/api/validate-yaml", "/v2/health/live", "/v2/health/ready"}


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[Route]:
    platform = open_platform(Home(tmp_path_factory.mktemp("routes") / "home"))
    found = Server(platform, {}).router.routes
    platform.close()
    return found


@pytest.fixture(scope="module")
def keys(server: RunningServer) -> Iterator[Keys]:
    database = Database.at(server.home / "craton.db")
    yield Keys(database, load_master(server.home))
    database.close()


def concrete(pattern: str) -> str:
    return re.sub(r"\{[^}]+\}", "x1", pattern)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """Without any credentials."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        yield client


def ask(client: httpx.Client, server: RunningServer, route: Route, headers: dict[str, str]) -> int:
    """The status of an empty request to this route."""
    extra = {"anthropic-version": "2023-06-01"} if route.dialect == "anthropic" else {}
    url = server.url + concrete(route.pattern)
    return client.request(route.method, url, headers={**headers, **extra}, content=b"{}").status_code


def signed(server: RunningServer, route: Route, key_id: str, secret: str, ago: float = 0.0) -> dict[str, str]:
    request = AWSRequest(route.method, server.url + concrete(route.pattern), data=b"{}")
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=ago)
    request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
    signer = SigV4Auth(Credentials(key_id, secret), "bedrock", "us-east-1")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    string = signer.string_to_sign(request, signer.canonical_request(request))
    signature = signer.signature(string, request)
    names = signer.signed_headers(signer.headers_to_sign(request))
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={names}, Signature={signature}"
    )
    return dict(request.headers.items())


def test_only_health_and_the_check_of_cards_are_public(routes: list[Route]) -> None:
    assert {route.pattern for route in routes if route.action is Action.PUBLIC} == PUBLIC
    assert len(routes) > 250


def test_every_route_refuses_missing_wrong_expired_and_revoked_keys(
    client: httpx.Client, server: RunningServer, routes: list[Route], keys: Keys
) -> None:
    expires = time.time() + 0.05
    expired = keys.create("default", "expired", KeyRole.ADMIN, expires_at=expires)
    revoked = keys.create("default", "revoked", KeyRole.ADMIN)
    keys.revoke("default", revoked.key_id)
    time.sleep(max(0.0, expires - time.time()))
    wrong = f"craton-{server.access_key_id}-{'A' * 43}"
    absent = f"craton-CRTN{'A' * 16}-{'A' * 43}"
    credentials = [{}] + [{"authorization": f"Bearer {it}"} for it in (wrong, absent, expired.token, revoked.token)]
    leaks = [
        (route.method, route.pattern, headers, status)
        for route in routes
        if route.action is not Action.PUBLIC
        for headers in credentials
        if (status := ask(client, server, route, headers)) not in {401, 403}
    ]
    assert leaks == []


def test_every_aws_route_refuses_wrong_and_old_signatures(
    client: httpx.Client, server: RunningServer, routes: list[Route]
) -> None:
    leaks = [
        (route.method, route.pattern)
        for route in routes
        if route.dialect == "aws"
        for secret, ago in (("not the secret", 0.0), (server.secret_access_key, 301.0))
        if ask(client, server, route, signed(server, route, server.access_key_id, secret, ago)) != 403
    ]
    assert leaks == []


def test_an_unknown_path_tells_a_stranger_nothing(server: RunningServer) -> None:
    assert httpx.get(f"{server.url}/no/such/thing", trust_env=False).status_code == 401
    with server.client() as client:
        assert client.get("/no/such/thing").status_code == 404


ALLOWED = {
    KeyRole.READER: {Action.READ},
    KeyRole.INVOKER: {Action.READ, Action.INVOKE},
    KeyRole.DEVELOPER: {Action.READ, Action.INVOKE, Action.WRITE},
    KeyRole.ADMIN: {Action.READ, Action.INVOKE, Action.WRITE, Action.ADMINISTER},
}


@pytest.mark.parametrize("role", list(ALLOWED))
def test_every_route_asks_for_the_role_that_its_policy_names(
    client: httpx.Client, server: RunningServer, routes: list[Route], keys: Keys, role: KeyRole
) -> None:
    headers = {"authorization": f"Bearer {keys.create('default', f'as-{role.value}', role).token}"}
    wrong = [
        (route.method, route.pattern, route.action, status)
        for route in routes
        if route.action is not Action.PUBLIC
        if ((status := ask(client, server, route, headers)) == 403) == (route.action in ALLOWED[role])
    ]
    assert wrong == []


def test_traces_and_usage_of_another_tenant_look_absent(server: RunningServer) -> None:
    with server.client() as client:
        body = {"model": "echo", "messages": [{"role": "user", "content": "mine"}]}
        answer = client.post("/v1/chat/completions", json=body)
        request_id = answer.headers["x-request-id"]
        for _ in range(100):
            if client.get(f"/api/craton/v1/requests/{request_id}").status_code == 200:
                break
        else:
            pytest.fail("the trace never came")
        database = Database.at(server.home / "craton.db")
        Tenants(database).create("stranger")
        foreign = Keys(database, load_master(server.home)).create("stranger", "theirs", KeyRole.ADMIN).token
        database.close()
        headers = {"authorization": f"Bearer {foreign}"}
        theirs = client.get(f"/api/craton/v1/requests/{request_id}", headers=headers)
        absent = client.get(f"/api/craton/v1/requests/{'0' * 32}", headers=headers)
        assert (theirs.status_code, absent.status_code) == (404, 404)
        assert theirs.json()["error"]["message"].replace(request_id, "") == absent.json()["error"]["message"].replace(
            "0" * 32, ""
        )
        assert client.get("/api/craton/v1/usage", headers=headers).json()["usage"] == []
