"""What of OpenAI's API Craton does not do is refused by name, for every path that the client knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import openai
import pytest

from craton.wire.http import Request
from craton.wire.openai import OpenAIDialect
from craton.wire.router import Router

VERBS = {"_get": "GET", "_post": "POST", "_put": "PUT", "_patch": "PATCH", "_delete": "DELETE", "_get_api_list": "GET"}
REAL = {
    ("GET", "/models"),
    ("GET", "/models/{model}"),
    ("POST", "/chat/completions"),
    ("POST", "/completions"),
    ("POST", "/embeddings"),
}


@cache
def client_paths() -> frozenset[tuple[str, str]]:
    """Every method and path in the installed client's source."""
    sources = Path(openai.__file__).parent.joinpath("resources").rglob("*.py")
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


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
def test_every_path_of_the_client_is_real_or_refused(serving: Any, prefix: str) -> None:
    router = Router(OpenAIDialect(serving, lambda: 0.0).routes())
    paths = client_paths()
    assert len(paths) > 200
    for method, path in paths:
        route = router.find(Request(method, prefix + path.replace("{", "").replace("}", ""), "", {}, b"", "r"))
        assert route is not None, (method, path)
        assert (route.status == "real") == ((method, path) in REAL), (method, path)


def test_a_refused_operation_is_named_and_not_tried_again(api: Any) -> None:
    client = openai.OpenAI(base_url=f"{api.url}/v1", api_key=api.token)
    with pytest.raises(openai.BadRequestError, match="POST responses is not supported") as caught:
        client.responses.create(model="echo", input="hi")
    assert caught.value.code == "unsupported_operation"
    with pytest.raises(openai.BadRequestError, match="not supported"):
        client.files.list()
    with pytest.raises(openai.BadRequestError, match="not supported"):
        client.models.delete("echo")


def test_a_refusal_says_nothing_to_strangers(api: Any) -> None:
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{api.url}/v1", api_key="wrong", max_retries=0).files.list()
