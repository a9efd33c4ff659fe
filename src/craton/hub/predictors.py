"""A repository with `model.json` at its root: a model that training made, described by its signature.

What is read here is what the engine will read (`engines.predictor.manifest`); the weights themselves are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import msgspec
from msgspec import Struct

from craton.core.errors import Damaged
from craton.core.model import ModelInfo
from craton.core.predicting import PredictVerb, Signature
from craton.core.repo import TreeEntry

MANIFEST = "model.json"
FORMAT = 1
MAX_BYTES = 8 * 1024 * 1024
MAX_SIGNATURE = 1024 * 1024
"""Bytes of JSON: it travels with every description of the model."""

VERBS: tuple[PredictVerb, ...] = get_args(PredictVerb)


class _Manifest(Struct, frozen=True):
    """The part of it that a description needs."""

    loader: str
    method: str
    signature: Signature
    files: dict[str, str]
    lineage: dict[str, str] = {}
    versions: dict[str, str] = {}
    format: int = FORMAT


def is_predictor(files: Mapping[str, TreeEntry]) -> bool:
    return MANIFEST in files


def describe_predictor(id: str, files: Mapping[str, TreeEntry], content: bytes) -> ModelInfo:
    """content: of model.json. Raises Damaged for a description that contradicts the files, or itself."""
    manifest = _read(content)
    for name, digest in manifest.files.items():
        if name not in files:
            raise Damaged(MANIFEST, f"it names {name[:200]!r}, which is not in the repository")
        if files[name].digest != digest:
            raise Damaged(name, "its bytes are not those that model.json names")
    known = [verb for verb in VERBS if manifest.signature.outputs.get(verb) is not None]
    details: dict[str, Any] = {
        "method": manifest.method[:100],
        "loader": manifest.loader[:100],
        "signature": msgspec.to_builtins(manifest.signature),
        "files": sorted({MANIFEST, *manifest.files}),
        "versions": manifest.versions,
        "lineage": manifest.lineage,
    }
    if not known:
        details["refused"] = "its signature has no outputs"
    return ModelInfo(
        id=id,
        verbs=tuple(known),
        engine="predictor" if known else "",
        format=manifest.loader[:100],
        architecture=manifest.method[:100],
        family=manifest.method[:100],
        size_bytes=sum(files[name].size for name in manifest.files),
        details={key: value for key, value in details.items() if value},
    )


def _read(content: bytes) -> _Manifest:
    if len(content) > MAX_BYTES:
        raise Damaged(MANIFEST, f"it has {len(content):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        manifest = msgspec.json.decode(content, type=_Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Damaged(MANIFEST, f"it is not a model's description ({str(error)[:200]})") from error
    if manifest.format != FORMAT:
        raise Damaged(MANIFEST, f"format {manifest.format} is not known here; update Craton")
    if len(msgspec.json.encode(manifest.signature)) > MAX_SIGNATURE:
        raise Damaged(MANIFEST, f"its signature is longer than {MAX_SIGNATURE:,} bytes")
    names = [field.name for field in manifest.signature.inputs]
    if not names or len(set(names)) != len(names):
        raise Damaged(MANIFEST, "its inputs are not columns with different names")
    return manifest
