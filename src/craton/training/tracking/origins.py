"""What a model's own files say of where it comes from: true of copies too, and of revisions that changed its card."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from craton.core.errors import Gated, NotFound
from craton.core.repo import RepoId
from craton.hub.admission import Admission
from craton.hub.predictors import MANIFEST, MAX_BYTES
from craton.hub.reaching import Reaching
from craton.hub.repositories import Hub


class _Manifest(Struct, frozen=True):
    lineage: dict[str, str] = {}


class Origins:
    """Blocking, safe in threads."""

    def __init__(self, hub: Hub, reaching: Reaching) -> None:
        self._hub, self._reaching, self._admission = hub, reaching, Admission(hub.database)

    def stated(self, tenant: str, path: str, revision: str) -> Mapping[str, str]:
        """The lineage in its model.json; {} without one, or when the tenant may not read it."""
        namespace, _, name = path.partition("/")
        try:
            reached = self._reaching.reach(tenant, RepoId("model", namespace, name))
            self._admission.check(tenant, reached)
            entry = self._hub.entry(reached.owner, reached.repo, revision, MANIFEST)
            if entry.size > MAX_BYTES:
                return {}
            content = b"".join(self._hub.blobs.read(entry.digest))
            return msgspec.json.decode(content, type=_Manifest).lineage
        except (NotFound, Gated, msgspec.DecodeError):
            return {}
