"""The files that a run left for people: card, report, figures, signature. Weights stay where they are served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from craton.cli.connection import Connection, error_sentence
from craton.cli.errors import ServerError

DESCRIPTION = "model.json"
LARGEST = 16 << 20  # bytes of one file
MOST = 1_000
WEIGHTS = frozenset({".bin", ".gguf", ".onnx", ".pt", ".pth", ".safetensors", ".skops", ".ubj"})
"""By their endings, in a repository whose description does not name them."""


class RunFile(Struct, frozen=True):
    path: str
    content: bytes


def files(connection: Connection, run: dict[str, Any]) -> Iterator[RunFile]:
    """Of the revision that the run published; nothing where it published none. Raises NoServer, ServerError."""
    if not run["model"]:
        return
    model, revision = quote(run["model"]), quote(run["model_revision"], safe="")
    tree = connection.get(f"/api/models/{model}/tree/{revision}", recursive="true")
    sizes = {entry["path"]: entry["size"] for entry in tree if entry["type"] == "file"}
    small = {path for path, size in sizes.items() if size <= LARGEST}
    weights = set[str]()
    if DESCRIPTION in small:
        described = msgspec.json.decode(_read(connection, model, revision, DESCRIPTION))
        weights = {*described.get("files", ())} if isinstance(described, dict) else set()
    for path in sorted(small - weights)[:MOST]:
        if PurePosixPath(path).suffix not in WEIGHTS and not path.startswith("."):
            yield RunFile(path, _read(connection, model, revision, path))


def _read(connection: Connection, model: str, revision: str, path: str) -> bytes:
    import httpx

    try:
        with connection.client() as client:
            response = client.get(f"/{model}/resolve/{revision}/{quote(path)}", follow_redirects=True)
    except httpx.HTTPError as error:
        raise connection.failure(error) from error
    if not response.is_success:
        raise ServerError(error_sentence(response.status_code, response.content))
    return response.content
