"""From an artifact's folder to a predictor in memory: the manifest names one of the loaders below."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from craton.core.errors import Damaged, Unsupported
from craton.engines.predictor.manifest import NAME, Manifest, read_manifest
from craton.engines.predictor.protocol import Predictor

LOADERS = {
    "clusters": "craton.engines.predictor.clusters:ClusterPredictor",
    "committee": "craton.engines.predictor.committees:Committee",
    "encoder": "craton.engines.predictor.encoders:EncoderPredictor",
    "network": "craton.engines.predictor.networks:NetworkPredictor",
    "policy": "craton.engines.predictor.policies:PolicyPredictor",
    "river": "craton.engines.predictor.learners:RiverLearner",
    "sklearn": "craton.engines.predictor.pipelines:SklearnPredictor",
    "lightgbm": "craton.engines.predictor.pipelines:LightGBMPredictor",
    "xgboost": "craton.engines.predictor.pipelines:XGBoostPredictor",
}
"""The manifest's `loader` -> the class that reads the weights. One line for each format that there is."""

_BLOCK = 1 << 20


def load(folder: Path) -> Predictor:
    """Raises Damaged when files are not those that the manifest names, Unsupported for a loader that is not known here
    or whose libraries are not installed."""
    return load_described(folder, read_manifest(folder / NAME))


def load_described(folder: Path, manifest: Manifest) -> Predictor:
    """The same for a manifest that was read already."""
    check_files(folder, manifest)
    kind = predictor_class(manifest.loader)
    try:
        predictor: Predictor = kind.load(folder, manifest)
    except ImportError as error:
        raise Unsupported(f"Models of the kind {manifest.loader!r} here", "Install craton[train].") from error
    return predictor


def load_stored(files: Mapping[str, str | Path], manifest: Manifest) -> Predictor:
    """The same where each file lies under a name of its own. files: name in the artifact -> place."""
    with tempfile.TemporaryDirectory() as folder:
        _lay_out(Path(folder), {NAME, *manifest.files}, files)
        return load_described(Path(folder), manifest)


def predictor_class(loader: str) -> Any:
    """Raises Unsupported."""
    target = LOADERS.get(loader)
    if target is None:
        raise Unsupported(f"A model of the kind {loader[:50]!r}", f"Known are {', '.join(sorted(LOADERS))}.")
    module, _, name = target.partition(":")
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise Unsupported(f"Models of the kind {loader!r} here", "Install craton[train].") from error


def loader_of(predictor: Predictor) -> str:
    """The name under which such a predictor is loaded again. Raises TypeError for a class that has none."""
    wanted = f"{type(predictor).__module__}:{type(predictor).__qualname__}"
    found = next((name for name, target in LOADERS.items() if target == wanted), None)
    if found is None:
        raise TypeError(f"{wanted} has no loader")
    return found


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raises Damaged."""
    root = folder.resolve()
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.resolve().is_relative_to(root) or not path.is_file():
            raise Damaged(name, "it is named by the model's description, and is not there")
        if sha256(path) != digest:
            raise Damaged(name, "its bytes are not those that were saved")


def sha256(path: Path) -> str:
    """Of a file's bytes, in hex."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def _lay_out(folder: Path, names: Collection[str], files: Mapping[str, str | Path]) -> None:
    """The artifact's files under their names, as links to the stored bytes where the file system has them."""
    for name in names:
        if name not in files:
            raise Damaged(name, "it is named by the model's description, and is not there")
        place = folder / name
        if not place.resolve().is_relative_to(folder.resolve()):
            raise Damaged(NAME, "it names a file outside its folder")
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(files[name], place)
        except OSError:
            shutil.copyfile(files[name], place)
