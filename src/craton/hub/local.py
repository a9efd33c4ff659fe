"""Models from this machine's own disk: one GGUF file, or a folder of safetensors."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from craton.core.errors import InvalidRequest, TooLarge
from craton.core.repo import RepoId
from craton.hub.importing import Imported, Importer, Progress, from_path, is_safe, quiet

MAX_FILES = 10_000
_WEIGHTS = (".safetensors", ".gguf")


def import_path(importer: Importer, source: Path, repo: RepoId, progress: Progress = quiet) -> Imported:
    """source: a .gguf file, or a folder. Files of other kinds are skipped and reported.

    Raises InvalidRequest when there is no model, or when a link leads out of the folder.
    """
    if source.is_file():
        if source.suffix.lower() != ".gguf":
            raise InvalidRequest(f"{source.name!r} is not a GGUF file; safetensors models are imported as a folder")
        files, skipped = {source.stem + ".gguf": source}, list[str]()
    elif source.is_dir():
        files, skipped = _folder(source)
    else:
        raise InvalidRequest(f"there is no file or folder {source.name!r}")
    if not any(path.endswith(_WEIGHTS) for path in files):
        raise InvalidRequest(f"{source.name!r} holds no safetensors or GGUF file")
    incoming = [from_path(path, file) for path, file in sorted(files.items())]
    card = {"library_name": "gguf" if any(path.endswith(".gguf") for path in files) else "transformers"}
    done = importer.put(repo, incoming, f"Import {source.name}", card, progress)
    return replace(done, skipped=tuple(sorted(skipped)))


def _folder(source: Path) -> tuple[dict[str, Path], list[str]]:
    files: dict[str, Path] = {}
    skipped: list[str] = []
    root = source.resolve()
    for folder, folders, names in os.walk(root):  # does not follow links to folders
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [*names, *(name for name in folders if (here / name).is_symlink())]:
            file = here / name
            path = file.relative_to(root).as_posix()
            if not file.resolve().is_relative_to(root):
                raise InvalidRequest(f"{path!r} is a link that leads out of the folder")
            if name.startswith(".") or not is_safe(path) or not file.is_file():
                skipped.append(path)
            else:
                files[path] = file
            if len(files) + len(skipped) > MAX_FILES:
                raise TooLarge("a model's folder", MAX_FILES, unit="files")
    return files, skipped
