"""What of Anthropic's API Craton does not do is refused by name, for every path that the client knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import anthropic
import pytest

from craton.wire.anthropic import AnthropicDialect
from craton.wire.http import Request
from craton.wire.openai import OpenAIDialect
from craton.wire.router import Router

VERBS = {"_get": "GET", "_post": "POST", "_put": "PUT", "_patch": "PATCH", "_delete": "DELETE", "_get_api_list": "GET"}
REAL = {
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model_id}"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/count_tokens"),
}
VERSION = {"anthropic-version": "2023-06-01"}


@cache
def client_paths() -> frozenset[tuple[str, str]]:
    """Every method and path in the installed client's source."""
    sources = Path(anthropic.__file__).parent.joinpath("resources").rglob("*.py")
    return frozenset(found for source in sources for found in calls(ast.parse(source.read_text())))


def calls(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in VERBS:
            path: Any = node.args[0] if node.args else None
            if isinstance(path, ast.Call):
                path = path.args[0]
            if isinstance(path, ast.Constant):
                methods = [key.value for key in node.keywords if key.arg == "method"]
                method = methods[0].value if methods and isinstance(methods[0], ast.Constant) else None
                yield str(method or VERBS[node.func.attr]).upper(), str(path.value).partition("?")[0]


@pytest.mark.parametrize("prefix", ["", "/anthropic"])
def test_every_path_of_the_client_is_real_or_refused(serving: Any, prefix: str) -> None:
    router = Router([*AnthropicDialect(serving).routes(), *OpenAIDialect(serving, lambda: 0.0).routes()])
    paths = client_paths()
    assert len(paths) > 100
    for method, path in paths:
        route = router.find(Request(method, prefix + path.replace("{", "").replace("}", ""), "", VERSION, b"", "r"))
        assert route is not None, (method, path)
        assert route.dialect == "anthropic"
        assert (route.status == "real") == ((method, path) in REAL), (method, path)


def test_the_two_dialects_never_claim_the_same_request(serving: Any) -> None:
    """The router refuses to be built otherwise; a path that both have is told apart by the header."""
    router = Router([*OpenAIDialect(serving, lambda: 0.0).routes(), *AnthropicDialect(serving).routes()])
    for path in ("/v1/models", "/v1/models/x", "/v1/files", "/v1/skills/1/content", "/v1/vaults"):
        for headers, dialect in (({}, "openai"), (VERSION, "anthropic")):
            route = router.find(Request("GET", path, "", headers, b"", "r"))
            assert route is not None
            assert route.dialect == dialect


def test_a_refused_operation_is_named(api: Any) -> None:
    client = anthropic.Anthropic(base_url=api.url, api_key=api.token)
    with pytest.raises(anthropic.BadRequestError, match="POST messages/batches is not supported"):
        client.messages.batches.create(requests=[])
    with pytest.raises(anthropic.BadRequestError, match="not supported"):
        client.files.list()
