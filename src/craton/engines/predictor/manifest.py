"""`model.json`: what an artifact of training is. The rest of the folder are the weights it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from craton.core.errors import Damaged
from craton.core.predicting import Signature

NAME = "model.json"
FORMAT = 1
MAX_BYTES = 8 * 1024 * 1024


class Manifest(Struct, frozen=True, omit_defaults=True):
    """loader: which of the platform's own loaders reads the weights; never code, never an allow-list.

    method: what trained it ("classification"). files: path in the folder -> sha256. parameters: the loader's own.
    versions: of the libraries that wrote it. lineage: {"run": ..., "dataset": ..., "dataset_revision": ...}.
    """

    loader: str
    method: str
    signature: Signature
    files: dict[str, str]
    parameters: dict[str, Any] = {}
    versions: dict[str, str] = {}
    lineage: dict[str, str] = {}
    format: int = FORMAT


def read_manifest(path: Path) -> Manifest:
    """Raises Damaged."""
    if path.stat().st_size > MAX_BYTES:
        raise Damaged(NAME, f"it is larger than {MAX_BYTES:,} bytes")
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Damaged(NAME, "it is not a model's description") from error
    if manifest.format != FORMAT:
        raise Damaged(NAME, f"format {manifest.format} is not known here; update Craton")
    return manifest
