"""Which repository, and what in it, a path names.

A repository is `namespace/name`, two segments, below /api/models, /api/datasets or /api/spaces, and below /datasets,
/spaces or, for models, nothing where files are read. A name alone means the caller's own namespace, as the Hub's
clients write it: `names.RESERVED_NAMES` keeps the two apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from craton.core.access import Action
from craton.core.errors import InvalidRequest
from craton.core.repo import RepoId, RepoKind
from craton.wire.http import Handler, Request, Route
from craton.wire.huggingface.errors import write_error

DIALECT = "huggingface"
KINDS: dict[str, RepoKind] = {"models": "model", "datasets": "dataset", "spaces": "space"}
PLURALS: dict[RepoKind, str] = {kind: plural for plural, kind in KINDS.items()}
REPO = "/{namespace}/{name}"
SHORT = "/{name}"


def api_patterns(rest: str = "", *, short: bool = False) -> Iterator[str]:
    """/api/models/{namespace}/{name}REST and so on. short: also without a namespace."""
    for plural in KINDS:
        yield f"/api/{plural}{REPO}{rest}"
        if short:
            yield f"/api/{plural}{SHORT}{rest}"


def file_patterns(rest: str, *, short: bool = False) -> Iterator[str]:
    """/{namespace}/{name}REST, /datasets/{namespace}/{name}REST and so on. short: also without a namespace."""
    for prefix in ("", "/datasets", "/spaces"):
        yield f"{prefix}{REPO}{rest}"
        if short:
            yield f"{prefix}{SHORT}{rest}"


def api_path(repo: RepoId) -> str:
    """Where the API has the repository."""
    return f"/api/{PLURALS[repo.kind]}/{repo.path}"


def hub_route(
    method: str,
    pattern: str,
    operation: str,
    handler: Handler,
    action: Action,
    *,
    status: str = "real",
    note: str = "",
    max_body: int = 1024 * 1024,
    streams: bool = False,
    opens: bool = False,
) -> Route:
    """A route of this dialect. What reads repositories that a pattern names, strangers may ask where they are let."""
    return Route(
        method,
        pattern,
        DIALECT,
        operation,
        handler,
        write_error,
        action,
        status=status,
        note=note,
        max_body=max_body,
        streams=streams,
        open=action is Action.READ and (opens or "{name}" in pattern),
    )


def kind_of(request: Request) -> RepoKind:
    """The kind of repository that the path is about."""
    first, second = [*request.path.split("/", 3)[1:3], ""][:2]
    return KINDS.get(second if first == "api" else first, "model")


def repo_of(request: Request) -> RepoId:
    """The repository that the path names; without a namespace, the caller's own of that name."""
    params = request.params
    return RepoId(kind_of(request), params.get("namespace") or request.authenticated.tenant, params["name"])


def revision_of(request: Request) -> str:
    """The revision that the path names ("refs/pr/1" for refs%2Fpr%2F1), or "main"."""
    return params_text(request, "revision") or "main"


def params_text(request: Request, name: str) -> str:
    """A placeholder's value, or "". Raises InvalidRequest when it is no text that a row could hold."""
    value = request.params.get(name, "")
    if "\0" in value:
        raise InvalidRequest("it holds a NUL character", name)
    return value


def repo_named(kind: str | None, text: str, tenant: str, *, field: str = "name") -> RepoId:
    """The repository that a body names: "name" or "namespace/name"; kind "model" (the default), "dataset" or "space".

    Raises InvalidRequest.
    """
    if kind not in {None, "model", "dataset", "space"}:
        raise InvalidRequest(f"{str(kind)[:40]!r} is not a type of repository", "type")
    namespace, slash, name = text.rpartition("/")
    if (slash and not namespace) or "/" in namespace:
        raise InvalidRequest(f"{text[:200]!r} is not namespace/name", field)
    found: RepoKind = "dataset" if kind == "dataset" else "space" if kind == "space" else "model"
    return RepoId(found, namespace or tenant, name)


def author_of(request: Request) -> str:
    """The Hub's user who calls: a tenant, as `whoami` names it."""
    return request.authenticated.tenant
