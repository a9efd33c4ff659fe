"""One table of routes: raw paths, no two claims on one request, no route without a policy."""

from __future__ import annotations

import pytest

from craton.core.access import Action
from craton.core.errors import CratonError
from craton.wire.http import Reply, Request, Route
from craton.wire.router import RouteConflict, Router


async def handler(_: Request) -> Reply:
    return Reply(200, b"")


def write_error(_error: CratonError, _request: Request) -> Reply:
    return Reply(500, b"")


def route(pattern: str, operation: str = "", method: str = "GET", **options: object) -> Route:
    values = {"action": Action.READ, **options}
    return Route(method, pattern, "test", operation or pattern, handler, write_error, **values)  # type: ignore[arg-type]


def request(path: str, method: str = "GET", **headers: str) -> Request:
    return Request(method, path, "", headers, b"", "id")


def found(router: Router, path: str, **headers: str) -> tuple[str, dict[str, str]] | None:
    asked = request(path, **headers)
    route = router.find(asked)
    return (route.operation, asked.params) if route else None


def test_placeholders_take_one_raw_segment_and_are_decoded_once() -> None:
    router = Router([route("/model/{id}/converse", "Converse")])
    assert found(router, "/model/us.amazon%2Fnova%3A0/converse") == ("Converse", {"id": "us.amazon/nova:0"})
    assert found(router, "/model/a%252Fb/converse") == ("Converse", {"id": "a%2Fb"})
    assert found(router, "/model/a/b/converse") is None
    assert found(router, "/model//converse") is None


def test_a_trailing_slash_counts() -> None:
    router = Router([route("/agents/{id}/", "Prepare"), route("/agents/{id}", "Invoke")])
    assert found(router, "/agents/x/") == ("Prepare", {"id": "x"})
    assert found(router, "/agents/x") == ("Invoke", {"id": "x"})


def test_literals_win_over_placeholders_and_placeholders_over_the_rest() -> None:
    router = Router([route("/a/{rest+}", "rest"), route("/a/{x}", "one"), route("/a/b", "b"), route("/a/b/c", "c")])
    assert found(router, "/a/b") == ("b", {})
    assert found(router, "/a/z") == ("one", {"x": "z"})
    assert found(router, "/a/b/z") == ("rest", {"rest": "b/z"})
    assert found(router, "/a/b/c") == ("c", {})


def test_what_stands_behind_a_placeholder_in_its_segment_is_part_of_the_pattern() -> None:
    router = Router([route("/{ns}/{name}.git/info", "lfs"), route("/{ns}/{name}/info", "plain")])
    assert found(router, "/a/b.git/info") == ("lfs", {"ns": "a", "name": "b"})
    assert found(router, "/a/b/info") == ("plain", {"ns": "a", "name": "b"})
    assert found(router, "/a/.git/info") == ("plain", {"ns": "a", "name": ".git"})


def test_a_literal_in_first_place_owns_all_paths_that_begin_with_it() -> None:
    router = Router([route("/model/{id}/converse"), route("/{ns}/{name}/resolve/{rev}/{path+}", "file")])
    assert found(router, "/acme/bert/resolve/refs%2Fpr%2F1/a/b%20c") == (
        "file",
        {"ns": "acme", "name": "bert", "rev": "refs/pr/1", "path": "a/b c"},
    )
    assert found(router, "/model/bert/resolve/main/a") is None


def test_two_routes_that_claim_the_same_request_are_refused() -> None:
    with pytest.raises(RouteConflict):
        Router([route("/a/{x}", "one"), route("/a/{y}", "two")])


def test_routes_with_a_condition_are_asked_first() -> None:
    def has_header(request: Request) -> bool:
        return "anthropic-version" in request.headers

    router = Router([route("/v1/models", "openai"), route("/v1/models", "anthropic", when=has_header)])
    assert found(router, "/v1/models") == ("openai", {})
    assert found(router, "/v1/models", **{"anthropic-version": "2023-06-01"}) == ("anthropic", {})


def test_a_route_without_a_policy_stops_the_start() -> None:
    with pytest.raises(ValueError, match="no policy"):
        Router([route("/open", action=None)])


@pytest.mark.parametrize("path", ["", "/", "//", "/%", "/a/../b", "*", "/a" * 3000])
def test_strange_paths_find_nothing_and_break_nothing(path: str) -> None:
    assert found(Router([route("/a/{x}", "one")]), path) is None
