"""Which names a repository, a path in it and a ref may have.

Names are rows, never parts of a path on disk; the rules keep them safe for the clients that will write them to one.
"""

from __future__ import annotations

import re
import unicodedata

from craton.core.errors import InvalidRequest
from craton.core.repo import RepoId

MAX_PATH_BYTES = 1024
MAX_SEGMENT_BYTES = 255
MAX_DEPTH = 64

_OWN_SEGMENTS = """
anthropic api console datasets datasets-server docs endpoints healthz metrics models openai readyz resolve s3 spaces
uploads v1 v2 xet
"""
_AWS_SEGMENTS = """
advanced-prompt-optimization-job advanced-prompt-optimization-jobs agenticretrievestream agents async-invoke
automated-reasoning-policies create-foundation-model-agreement custom-models data-retention
delete-foundation-model-agreement enforcedguardrailsconfiguration evaluation-job evaluation-jobs flows
foundation-model-availability foundation-models generatequery guardrail guardrail-checks guardrails
imported-models inference-profiles knowledgebases list-foundation-model-agreement-offers listtagsforresource
logging marketplace-model model model-copy-jobs model-customization model-customization-jobs model-import-jobs
model-invocation-job model-invocation-jobs optimize-prompt prompt-routers prompts provisioned-model-throughput
provisioned-model-throughputs rerank resource-policy resourcepolicy retrievalinstructions retrieveandgenerate
retrieveandgeneratestream sessions tagresource tags untagresource use-case-for-model-access
"""
RESERVED_NAMESPACES = frozenset((_OWN_SEGMENTS + _AWS_SEGMENTS).split())
"""First path segments, in lower case, that routes use: a namespace of that name could not be told from them.

tests/app/test_one_port.py holds this list against the route table."""

RESERVED_NAMES = frozenset({"commits", "paths-info", "refs", "resolve", "revision", "tree"})
"""A repository is sometimes named without its namespace: /api/models/acme/refs must be the refs of `acme`."""

_REPO_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,254}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_COMMIT_ID = re.compile(r"[0-9a-f]{40}")
_SHORT_ID = re.compile(r"[0-9a-f]{7,39}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def check_repo(repo: RepoId) -> None:
    """Raises InvalidRequest for a namespace or name that a repository may not have."""
    for field, value in (("namespace", repo.namespace), ("name", repo.name)):
        if not _is_repo_part(value):
            raise InvalidRequest(
                f"{value[:96]!r} is not a repository {field}: use up to 96 letters, digits, '.', '_' and '-'", field
            )
    if repo.namespace.lower() in RESERVED_NAMESPACES:
        raise InvalidRequest(f"the namespace {repo.namespace!r} is reserved", "namespace")
    if repo.name.lower() in RESERVED_NAMES:
        raise InvalidRequest(f"the name {repo.name!r} is reserved", "name")


def is_repo(repo: RepoId) -> bool:
    """Whether a repository can have this name at all: what cannot is not looked for."""
    return _is_repo_part(repo.namespace) and _is_repo_part(repo.name)


def _is_repo_part(value: str) -> bool:
    return _REPO_PART.fullmatch(value) is not None and ".." not in value and not value.endswith((".", ".git"))


def check_path(path: str) -> None:
    """Raises InvalidRequest unless path is a relative name of a file, its parts joined by single slashes."""
    reason = _path_fault(path)
    if reason:
        raise InvalidRequest(f"{path[:80]!r} is not a path: {reason}", "path")


def _path_fault(path: str) -> str:
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if size > MAX_PATH_BYTES:
        return f"it is longer than {MAX_PATH_BYTES} bytes"
    if "\\" in path:
        return "it holds a backslash"
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in path):
        return "it holds a control character"
    segments = path.split("/")
    if len(segments) > MAX_DEPTH:
        return f"it is deeper than {MAX_DEPTH} folders"
    for segment in segments:
        if segment in {"", ".", ".."} or segment.lower() == ".git":
            return "it is absolute, or a part of it is empty, '.', '..' or '.git'"
        if len(segment.encode()) > MAX_SEGMENT_BYTES:
            return f"a part of it is longer than {MAX_SEGMENT_BYTES} bytes"
    return ""


def check_ref(name: str) -> None:
    """Raises InvalidRequest for a name that a branch or tag may not have."""
    if not is_ref(name):
        raise InvalidRequest(f"{name[:80]!r} is not a name for a branch or tag", "revision")


def is_ref(name: str) -> bool:
    """Whether a branch or tag can have this name at all."""
    return (
        _REF.fullmatch(name) is not None
        and not is_commit_id(name)
        and ".." not in name
        and "//" not in name
        and not name.startswith("refs/")
        and not name.endswith(("/", ".", ".lock"))
    )


def is_pull(name: str) -> bool:
    """Whether a pull request can have this number."""
    return _NUMBER.fullmatch(name) is not None


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def is_commit_id(name: str) -> bool:
    return _COMMIT_ID.fullmatch(name) is not None


def is_short_id(name: str) -> bool:
    """Whether it can be the beginning of a commit id, long enough to look for one."""
    return _SHORT_ID.fullmatch(name) is not None
