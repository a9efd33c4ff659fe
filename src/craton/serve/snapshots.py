"""What a model has learned while serving, as a new revision of its repository."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from craton.core.errors import Damaged
from craton.core.repo import Add, RepoId
from craton.engines.predictor.manifest import NAME, read_manifest
from craton.hub.repositories import Hub
from craton.serve.target import Target

BRANCH = "main"
_BLOCK = 1 << 20
_KEPT = ("reference",)
"""Parameters that are not the loader's, and go on with the model."""


class Snapshots:
    """Blocking. hub: where models lie. blob_path: where the bytes with this digest lie."""

    def __init__(self, hub: Hub, blob_path: Callable[[str], Path]) -> None:
        self._hub, self._blob_path = hub, blob_path

    def commit(self, target: Target, folder: Path, parameters: dict[str, Any], rows: int, author: str) -> Target:
        """folder: the weights, as the model wrote them. rows: how many were learned since the last revision.

        The target at the new revision. Raises Stale when somebody else has committed in between, NotFound when the
        repository is gone.
        """
        namespace, _, name = target.info.repo.partition("/")
        repo = RepoId("model", namespace, name)
        manifest = read_manifest(self._blob_path(target.files[NAME]))
        adds = [self._stored(target.owner, folder, path) for path in sorted(folder.rglob("*")) if path.is_file()]
        if not adds:
            raise Damaged(target.info.id, "its model wrote no snapshot")
        kept = {key: value for key, value in manifest.parameters.items() if key in _KEPT}
        written = replace(
            manifest,
            files=manifest.files | {add.path: add.digest for add in adds},
            parameters=parameters | kept,
            lineage=manifest.lineage | {"learned_on": target.info.revision, "learned_rows": str(rows)},
        )
        content = msgspec.json.format(msgspec.json.encode(written), indent=2)
        stored = self._hub.store(target.owner, [content], len(content))
        adds.append(Add(NAME, stored.digest, len(content)))
        message = f"Learned {rows:,} row{'' if rows == 1 else 's'} while serving"
        revision = self._hub.commit(target.owner, repo, BRANCH, target.info.revision, adds, message, author)
        info = replace(target.info, revision=revision.id, created=revision.created)
        return replace(target, info=info, files=target.files | {add.path: add.digest for add in adds})

    def _stored(self, tenant: str, folder: Path, path: Path) -> Add:
        size = path.stat().st_size
        stored = self._hub.store(tenant, _blocks(path), size, _sha256(path))
        return Add(path.relative_to(folder).as_posix(), stored.digest, size)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
