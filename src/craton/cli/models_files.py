"""A stored model's files under their names, and a folder that becomes a stored model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from craton.core.repo import RepoId

if TYPE_CHECKING:
    from craton.app.platform import Platform
    from craton.core.access import Caller
    from craton.core.model import ModelInfo
    from craton.hub.importing import Imported


def laid_out(platform: Platform, who: Caller, name: str, folder: Path) -> ModelInfo:
    """Links to the model's files, in the empty folder. Raises NotFound, Gated."""
    found = platform.catalog.resolve(who.tenant, name)
    for path, digest in found.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(platform.blobs.path(digest))
    return found.info


def one_gguf(folder: Path) -> Path | None:
    found = sorted(folder.rglob("*.gguf"))
    return found[0] if len(found) == 1 else None


def new_name(old: str, given: str | None, ending: str) -> RepoId:
    """--name, or the old name with an ending; what is not one's own goes to `local/`."""
    if given is not None:
        namespace, slash, rest = given.partition("/")
        if not slash or "/" in rest:
            raise click.BadParameter(f"{given!r} is not of the form namespace/name", param_hint="--name")
        return RepoId("model", namespace, rest)
    namespace, slash, name = old.partition("@")[0].rpartition("/")
    return RepoId("model", namespace if slash else "local", f"{name}-{ending}")


def store(
    platform: Platform, who: Caller, repo: RepoId, files: Mapping[str, Path], message: str, card: dict[str, Any]
) -> Imported:
    """Makes the repository hold exactly these files. Raises Forbidden, and what importing does."""
    from craton.access.policy import authorize
    from craton.cli.models_pull import open_importer
    from craton.cli.progress import shown_progress
    from craton.core.access import Action
    from craton.hub.importing import from_path

    authorize(who, Action.WRITE)
    incoming = [from_path(name, path) for name, path in sorted(files.items())]
    with shown_progress(repo.path) as progress:
        return open_importer(platform, who.tenant, who).put(repo, incoming, message, card, progress)
