"""Repositories as folders, for trainers: a base model's files, an ensemble's members, an environment's code."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from craton.core.access import SHARED_TENANT
from craton.core.errors import Forbidden, NotFound
from craton.core.repo import RepoId
from craton.hub.admission import Admission
from craton.hub.models import STARTER_NAMESPACE
from craton.hub.reaching import Reached, Reaching
from craton.hub.repositories import Hub

PINS = "pinned_repositories"
"""The argument of a job: the repositories that its method checks out, as they are named -> with their revisions."""
_HINTS = {
    "model": "`craton models list` shows what is here, `craton models pull NAME` fetches more.",
    "space": "Upload its files as a space first.",
}


class Checkouts:
    """Blocking, safe in threads."""

    def __init__(self, hub: Hub, reaching: Reaching) -> None:
        self._hub, self._reaching = hub, reaching
        self._admission = Admission(hub.database)

    def check_out(self, tenant: str, kind: Literal["model", "space"], ref: str, folder: Path) -> str:
        """Copies the files into the empty folder. ref: "acme/churn@main", or a starter model's bare name. Returns the
        revision.

        Raises NotFound, Gated; Forbidden for a space of another tenant, whose code this one has no say in.
        """
        reached, found = self._find(tenant, kind, ref)
        for entry in self._hub.tree(reached.owner, reached.repo, found):
            target = folder / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._hub.blobs.path(entry.digest), target)
        return found

    def pinned(self, tenant: str, kind: Literal["model", "space"], ref: str) -> str:
        """The same reference with its revision in full. Raises the same."""
        return f"{ref.partition('@')[0]}@{self._find(tenant, kind, ref)[1]}"

    def _find(self, tenant: str, kind: Literal["model", "space"], ref: str) -> tuple[Reached, str]:
        path, _, revision = ref.removeprefix(f"{kind}s/").partition("@")
        namespace, slash, name = path.partition("/")
        try:
            if slash:
                reached = self._reaching.reach(tenant, RepoId(kind, namespace, name))
            else:
                reached = self._reaching.reach(SHARED_TENANT, RepoId(kind, STARTER_NAMESPACE, path))
            if kind == "space" and not reached.own:
                raise Forbidden(f"run the code of {path}, which belongs to somebody else")
            self._admission.check(tenant, reached)
            return reached, self._hub.resolve(reached.owner, reached.repo, revision or "main")
        except NotFound:
            raise NotFound(kind, ref, _HINTS[kind]) from None
