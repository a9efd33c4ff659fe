"""Sets that installed libraries carry: nothing is downloaded."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest, Unsupported
from craton.training.data.refs import BundledRef
from craton.training.data.rows import Rows
from craton.training.specification.suggesting import unknown

if TYPE_CHECKING:
    import pandas as pd

TARGET = "target"
IMAGES = "images"
SKLEARN = ("breast_cancer", "diabetes", "digits", "iris", "wine")
RIVER = ("Bananas", "ChickWeights", "ImageSegments", "Phishing", "TrumpApproval")
DIGIT = (8, 8, 1)


def read_bundled(ref: BundledRef, config: str, limit: int | None) -> Rows:
    """The column to be predicted is called "target". config "images": the digits as pictures in one column.

    Raises InvalidRequest for a set that there is not.
    """
    known = SKLEARN if ref.library == "sklearn" else RIVER
    if ref.name not in known:
        raise InvalidRequest(unknown(f"set in {ref.library}", ref.name, known), "data.ref")
    if find_spec(ref.library) is None:
        raise Unsupported(f"The set {ref}", "Install craton[train].")
    if config and (ref.name, config) != ("digits", IMAGES):
        raise InvalidRequest(f"{ref} has no configuration {config!r}", "data.config")
    frame = _sklearn(ref.name, config) if ref.library == "sklearn" else _river(ref.name)
    images: dict[str, tuple[int, ...]] = {"image": DIGIT} if config == IMAGES else {}
    return Rows(frame.head(limit) if limit is not None else frame, None, str(ref), target=TARGET, images=images)


def _sklearn(name: str, config: str) -> pd.DataFrame:
    import pandas as pd
    from sklearn import datasets

    loaded: Any = getattr(datasets, f"load_{name}")()
    if config == IMAGES:
        frame = pd.DataFrame({"image": pd.Series([*(loaded.images[..., None] / 16.0)], dtype=object)})
    else:
        frame = pd.DataFrame(loaded.data, columns=[str(column) for column in loaded.feature_names])
    if name in {"diabetes", "digits"}:
        return frame.assign(**{TARGET: loaded.target})
    labels = [str(loaded.target_names[code]) for code in loaded.target]
    return frame.assign(**{TARGET: pd.Series(labels, dtype=object)})


def _river(name: str) -> pd.DataFrame:
    import pandas as pd
    from river import datasets

    rows = [{**inputs, TARGET: answer} for inputs, answer in getattr(datasets, name)()]
    frame = pd.DataFrame(rows)
    texts = [column for column in frame.columns if frame[column].dtype.kind not in "biufM"]
    return frame.astype(dict.fromkeys(texts, object))
