"""What a file's name says: its format, how it is packed; and which format the `datasets` library reads of several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from craton.core.errors import Unsupported
from craton.data.viewing.values import Format, Packing

_ENDINGS: dict[str, Format] = {
    ".parquet": "parquet",
    ".geoparquet": "parquet",
    ".gpq": "parquet",
    ".arrow": "arrow",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "text",
}  # in the order that breaks a draw
_PACKED: dict[str, Packing] = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_NOT_SHOWN = {
    ".zip": "zip archives",
    ".tar": "tar archives",
    ".xml": "XML",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".webp", ".tiff", ".bmp"), "single images"),
    **dict.fromkeys((".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a"), "single sound files"),
    **dict.fromkeys((".mp4", ".webm", ".mkv", ".avi", ".mov"), "films"),
    ".pdf": "PDF documents",
}


def packing_of(path: str) -> Packing:
    return next((packing for ending, packing in _PACKED.items() if path.lower().endswith(ending)), "")


def format_of(path: str) -> Format | None:
    """None when it is no data file."""
    return next((_ENDINGS[ending] for ending in _endings(path) if ending in _ENDINGS), None)


def separator_of(path: str) -> str:
    return "\t" if ".tsv" in _endings(path) else ","


def _endings(path: str) -> list[str]:
    return [f".{piece.lower()}" for piece in path.rpartition("/")[2].split(".")[1:]]


def common_format(paths: Iterable[str]) -> Format:
    """The format of most files. Raises Unsupported when none can be shown."""
    listed = list(paths)
    counts = Counter(ending for path in listed for ending in _endings(path) if ending in _ENDINGS)
    order = list(_ENDINGS)
    if counts:
        return _ENDINGS[max(counts, key=lambda ending: (counts[ending], -order.index(ending)))]
    for path in listed:
        for ending in _endings(path):
            if ending in _NOT_SHOWN:
                raise Unsupported(f"Looking into {_NOT_SHOWN[ending]}", "Store the rows as Parquet, JSON lines or CSV.")
    raise Unsupported("Looking into a repository without data files", "Store the rows as Parquet, JSON lines or CSV.")
