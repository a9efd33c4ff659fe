"""All dialects on one port: each request has one owner, and reserved first segments stay reserved."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict

import pytest

from craton.app.build import Server
from craton.app.config import Home
from craton.app.platform import open_platform
from craton.hub.names import RESERVED_NAMESPACES
from craton.wire.http import Request, Route
from craton.wire.router import Router

HEADERS: tuple[dict[str, str], ...] = ({}, {"anthropic-version": "2023-06-01"}, {"authorization": "AWS4-HMAC-SHA256 x"})


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Router:
    platform = open_platform(Home(tmp_path_factory.mktemp("port") / "home"))
    found = Server(platform, {}).router
    platform.close()
    return found


def request(method: str, path: str, headers: dict[str, str]) -> Request:
    return Request(method, path, "", headers, b"", "id")


def shape(route: Route) -> tuple[str, str]:
    return route.method, re.sub(r"\{[^}]*?(\+?)\}", r"{\1}", route.pattern)


def test_no_two_dialects_claim_the_same_request(router: Router) -> None:
    """Where several routes have one shape, every condition is false for the others' requests."""
    by_shape = defaultdict(list)
    for route in router.routes:
        by_shape[shape(route)].append(route)
    claims = []
    for (method, pattern), routes in by_shape.items():
        path = re.sub(r"\{\+?\}", "x1", pattern)
        for headers in HEADERS:
            asked = request(method, path, headers)
            owners = {route.dialect for route in routes if route.when is None or route.when(asked)}
            if len(owners) > 1:
                claims.append((method, pattern, headers, owners))
    assert claims == []


@pytest.mark.parametrize(
    ("method", "path", "headers", "operation"),
    [
        ("GET", "/v1/models", {}, ("openai", "ListModels")),
        ("GET", "/v1/models", {"anthropic-version": "2023-06-01"}, ("anthropic", "ListModels")),
        ("GET", "/v1/models/acme%2Fbert", {}, ("openai", "RetrieveModel")),
        ("POST", "/model/us.amazon.nova%3A0/converse", {}, ("aws", "Converse")),
        ("POST", "/agents/A1/", {}, ("aws", "PrepareAgent")),
        ("POST", "/agents/A1", {}, ("aws", "InvokeInlineAgent")),
        ("POST", "/openai/v1/chat/completions", {}, ("openai", "CreateChatCompletion")),
        ("POST", "/anthropic/v1/messages", {}, ("anthropic", "CreateMessage")),
        ("GET", "/healthz", {}, ("craton", "Health")),
    ],
)
def test_known_requests_reach_their_operation(
    router: Router, method: str, path: str, headers: dict[str, str], operation: tuple[str, str]
) -> None:
    route = router.find(request(method, path, headers))
    assert route is not None
    assert (route.dialect, route.operation) == operation


def test_first_segments_of_routes_are_never_namespaces(router: Router) -> None:
    first = {route.pattern.split("/")[1] for route in router.routes}
    literal = {segment.lower() for segment in first if segment and not segment.startswith("{")}
    assert literal - set(RESERVED_NAMESPACES) == set()


def test_no_route_shadows_another(router: Router) -> None:
    """Each route is found by a request made for it."""
    lost = []
    for route, headers in itertools.product(router.routes, HEADERS):
        path = re.sub(r"\{[^}]*\}", "x1", route.pattern)
        asked = request(route.method, path, headers)
        if route.when is not None and not route.when(asked):
            continue
        found = router.find(asked)
        if found is None or (found is not route and shape(found) == shape(route) and found.when is route.when):
            lost.append((route.method, route.pattern, route.operation))
    assert lost == []
