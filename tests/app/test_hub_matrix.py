"""Two tenants, every route of the Hub, four repositories: own, shared, another tenant's private one, none at all.

The routes come from the table itself, so a new one is covered the day it appears. Another tenant's private repository
and one that does not exist must look exactly alike, on every route and to every kind of key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from craton.app.build import Server
from craton.app.config import Home
from craton.app.platform import open_platform
from craton.core.access import Action
from craton.core.repo import RepoId, RepoKind
from craton.wire.http import Route
from craton.wire.huggingface.naming import KINDS
from tests.app.collaborating import Company, company

OWN, SHARED, FOREIGN, ABSENT = "bob/matrix-own", "alice/matrix-shared", "alice/matrix-hidden", "alice/matrix-absent"
VALUES = {"revision": "main", "path": "README.md", "spec": "main", "namespace": "", "name": ""}
"""Of placeholders; "1" for the others."""
BODIES: Mapping[str, Any] = {
    "CreateTag": {"tag": "matrix"},
    "UpdateRepoSettings": {"gated": False},
    "SetKeeping": {"keep": "plain"},
    "Preupload": {"files": []},
    "LfsBatch": {"objects": []},
    "LfsVerify": {"oid": "", "size": 0},
}
"""Of operations that look at their body before they look for the repository; {} for the others."""
FORMS = {"GetPathsInfo": "paths=README.md"}


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("matrix") / "home", "[hub]\nanonymous = true\n") as running:
        for kind in KINDS.values():
            for path, private in ((OWN, True), (SHARED, False), (FOREIGN, True)):
                make(running, kind, path, private=private)
        yield running


def make(firm: Company, kind: RepoKind, path: str, *, private: bool) -> None:
    owner, name = path.split("/")
    readme = firm.add(owner, "README.md", b"hello\n")
    firm.platform.hub.create(owner, RepoId(kind, owner, name), private=private, first=[readme], author=owner)


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[Route]:
    """Those whose path names a repository."""
    platform = open_platform(Home(tmp_path_factory.mktemp("table") / "home"))
    found = Server(platform, {}).router.routes
    platform.close()
    return [
        it for it in found if it.dialect == "huggingface" and "{namespace}" in it.pattern and "{name}" in it.pattern
    ]


def ask(client: httpx.Client, route: Route, repo: str, token: str | None) -> httpx.Response:
    namespace, name = repo.split("/")
    values = {**VALUES, "namespace": namespace, "name": name}
    path = re.sub(r"\{(\w+)\+?\}", lambda match: values.get(match[1], "1"), route.pattern)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    content: str | bytes = msgspec.json.encode(BODIES.get(route.operation, {}))
    if route.operation in FORMS:
        content, headers["content-type"] = FORMS[route.operation], "application/x-www-form-urlencoded"
    return client.request(route.method, path, content=content, headers=headers)


def seen(answer: httpx.Response, repo: str) -> tuple[int, dict[str, str], bytes]:
    """All that a client can see, but for the repository's name and what differs between any two answers."""
    ignored = {"x-request-id", "date"}
    headers = {name: value.replace(repo, "R") for name, value in answer.headers.items() if name not in ignored}
    headers.pop("content-length", None)
    return answer.status_code, headers, answer.content.replace(repo.encode(), b"R")


def test_what_is_foreign_and_what_is_absent_look_alike_on_every_route(firm: Company, routes: list[Route]) -> None:
    different, told = [], []
    with httpx.Client(base_url=firm.server.url, trust_env=False, timeout=60) as client:
        for route in routes:
            foreign, absent = (ask(client, route, repo, firm.bob.token) for repo in (FOREIGN, ABSENT))
            if seen(foreign, FOREIGN) != seen(absent, ABSENT):
                different.append((route.method, route.pattern, foreign.status_code, absent.status_code))
            if (foreign.status_code, foreign.headers.get("x-error-code")) != (404, "RepoNotFound"):
                told.append((route.method, route.pattern, foreign.status_code, foreign.text[:100]))
    assert len(routes) > 60
    assert different == []
    assert told == []


def test_strangers_see_no_difference_either(firm: Company, routes: list[Route]) -> None:
    different = []
    with httpx.Client(base_url=firm.server.url, trust_env=False, timeout=60) as client:
        for route in routes:
            foreign, absent = (ask(client, route, repo, None) for repo in (FOREIGN, ABSENT))
            expected = 404 if route.action is Action.READ else 401
            if seen(foreign, FOREIGN) != seen(absent, ABSENT) or foreign.status_code != expected:
                different.append((route.method, route.pattern, foreign.status_code, absent.status_code))
    assert different == []


def test_what_is_own_and_what_is_shared_is_found(firm: Company, routes: list[Route]) -> None:
    """Reading: both. Writing: only what is one's own; the shared one is known and refused, or takes what anybody may
    give (likes, discussions, requests for access)."""
    lost = []
    with httpx.Client(base_url=firm.server.url, trust_env=False, timeout=60) as client:
        for route in routes:
            for repo in (OWN, SHARED):
                answer = ask(client, route, repo, firm.bob.token)
                if answer.headers.get("x-error-code") == "RepoNotFound" or answer.status_code >= 500:
                    lost.append((route.method, route.pattern, repo, answer.status_code))
    assert lost == []


def test_nothing_of_the_shared_repository_was_changed_by_the_other_tenant(firm: Company) -> None:
    """After all of the above: same commit, same refs but pull requests, same settings."""
    for kind in KINDS.values():
        info = firm.alice.repo_info(SHARED, repo_type=kind)
        assert (info.private, len(firm.alice.list_repo_commits(SHARED, repo_type=kind))) == (False, 1)
        refs = firm.alice.list_repo_refs(SHARED, repo_type=kind)
        assert ([it.name for it in refs.branches], refs.tags, refs.converts) == (["main"], [], [])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/api/repos/delete", {"organization": "alice", "name": "NAME"}),
        ("POST", "/api/repos/move", {"fromRepo": "alice/NAME", "toRepo": "bob/taken-over"}),
    ],
)
def test_routes_that_name_a_repository_in_their_body(
    firm: Company, method: str, path: str, body: dict[str, str]
) -> None:
    answers = []
    with httpx.Client(base_url=firm.server.url, trust_env=False) as client:
        for repo in (FOREIGN, ABSENT):
            content = msgspec.json.encode(body).replace(b"NAME", repo.partition("/")[2].encode())
            headers = {"authorization": f"Bearer {firm.bob.token}"}
            answer = client.request(method, path, content=content, headers=headers)
            answers.append(seen(answer, repo))
            assert (answer.status_code, answer.headers["x-error-code"]) == (404, "RepoNotFound")
        shared = msgspec.json.encode(body).replace(b"NAME", b"matrix-shared")
        assert client.request(method, path, content=shared, headers=headers).status_code == 403
    assert answers[0] == answers[1]
    assert firm.alice.repo_exists(FOREIGN)


def test_lists_tell_nothing_of_what_is_hidden(firm: Company) -> None:
    for list_all in (firm.bob.list_models, firm.bob.list_datasets, firm.bob.list_spaces):
        listed = [it.id for it in list_all(search="matrix", full=True)]
        assert sorted(listed) == [SHARED, OWN]


def test_a_home_is_not_needed_to_know_the_table(tmp_path: Path) -> None:
    """The patterns under which a repository is named are the same for its three kinds."""
    platform = open_platform(Home(tmp_path / "home"))
    patterns = {(it.method, it.pattern) for it in Server(platform, {}).router.routes if it.dialect == "huggingface"}
    platform.close()
    of_models = {(method, it) for method, it in patterns if it.startswith("/api/models/{namespace}/{name}")}
    missing = {
        (method, it.replace("/models/", f"/{plural}/"))
        for method, it in of_models
        for plural in ("datasets", "spaces")
        if (method, it.replace("/models/", f"/{plural}/")) not in patterns
    }
    assert missing == set()
