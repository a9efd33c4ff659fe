"""A folder of pictures, or a zip of one, as Parquet files with a picture and a label in each row.

Laid out as `datasets` knows it (https://huggingface.co/docs/datasets/image_dataset): LABEL/PICTURE, or one folder more
around the labels for each split (train/LABEL/PICTURE). What is written has the Hub's features Image and ClassLabel.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from craton.core.errors import InvalidRequest, TooLarge, Unsupported

ENDINGS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"})
SPLITS = {"train": "train", "test": "test", "val": "validation", "valid": "validation", "validation": "validation"}
MAX_BYTES = 32 << 20  # of one picture
GROUP_BYTES = 32 << 20  # of the pictures that are held at once
MAX_LABELS = 1000


class Picture(NamedTuple):
    """path: of the parts below the folder. read: its bytes."""

    path: PurePosixPath
    size: int
    read: Callable[[], bytes]


def is_pictures(source: Path) -> bool:
    return source.is_dir() or source.suffix.lower() == ".zip"


def write_parquet(source: Path, target: Path) -> list[Path]:
    """A file for each split into the empty folder `target`. Raises InvalidRequest, TooLarge, Unsupported."""
    try:
        import pyarrow  # noqa: F401 (whether it is there)
    except ImportError as error:
        raise Unsupported("Writing Parquet here", "Install craton[train].") from error
    if source.is_dir():
        return _write_all([*_in_folder(source)], target)
    try:
        with zipfile.ZipFile(source) as archive:
            return _write_all([*_in_zip(archive)], target)
    except zipfile.BadZipFile as error:
        raise InvalidRequest(f"{source.name!r} is no zip archive", "file") from error


def _in_folder(source: Path) -> Iterator[Picture]:
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.suffix.lower() in ENDINGS:
            yield Picture(PurePosixPath(path.relative_to(source).as_posix()), path.stat().st_size, path.read_bytes)


def _in_zip(archive: zipfile.ZipFile) -> Iterator[Picture]:
    """One folder around everything, as archives often have it, is left out."""
    entries = [one for one in archive.infolist() if PurePosixPath(one.filename).suffix.lower() in ENDINGS]
    entries = [one for one in entries if not one.filename.startswith("__MACOSX/")]
    paths = [PurePosixPath(one.filename) for one in entries]
    around = len({path.parts[0] for path in paths}) == 1 and all(len(path.parts) > 2 for path in paths)
    for entry, path in sorted(zip(entries, paths, strict=True), key=lambda pair: pair[1]):

        def read(entry: zipfile.ZipInfo = entry) -> bytes:
            with archive.open(entry) as file:
                return file.read(MAX_BYTES + 1)

        yield Picture(PurePosixPath(*path.parts[1:]) if around else path, entry.file_size, read)


def _write_all(pictures: list[Picture], target: Path) -> list[Path]:
    splits: dict[str, list[tuple[str, Picture]]] = {}
    for picture in pictures:
        *around, label, _ = ("", *picture.path.parts)
        split = SPLITS.get(around[-1].lower()) if around[1:] else "train"
        if not label or len(around) > 2 or split is None:
            raise InvalidRequest(
                f"{str(picture.path)!r} lies in no folder of a label: LABEL/PICTURE, or train/LABEL/PICTURE", "file"
            )
        splits.setdefault(split, []).append((label, picture))
    if not splits:
        raise InvalidRequest(f"holds no pictures ({', '.join(sorted(ENDINGS))})", "file")
    labels = sorted({label for rows in splits.values() for label, _ in rows})
    if len(labels) > MAX_LABELS:
        raise TooLarge("The labels of the pictures", MAX_LABELS, len(labels), "folders")
    return [_write(target / f"{name}.parquet", rows, labels) for name, rows in sorted(splits.items(), reverse=True)]


def _write(path: Path, rows: list[tuple[str, Picture]], labels: list[str]) -> Path:
    """In row groups of bounded size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from craton.data.viewing.features import with_features

    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    plain = pa.schema([("image", image), ("label", pa.int64())])
    schema = with_features(plain, {"image": {"_type": "Image"}, "label": {"names": labels, "_type": "ClassLabel"}})
    with pq.ParquetWriter(path, schema) as writer:
        for group in _groups(rows):
            cells = [{"bytes": content, "path": picture.path.name} for _, picture, content in group]
            codes = [labels.index(label) for label, _, _ in group]
            writer.write_table(pa.table({"image": pa.array(cells, image), "label": codes}, schema=schema))
    return path


def _groups(rows: list[tuple[str, Picture]]) -> Iterator[list[tuple[str, Picture, bytes]]]:
    group: list[tuple[str, Picture, bytes]] = []
    held = 0
    for label, picture in rows:
        content = picture.read() if picture.size <= MAX_BYTES else None
        if content is None or len(content) > MAX_BYTES:
            raise TooLarge(f"The picture {str(picture.path)!r}", MAX_BYTES, picture.size)
        group.append((label, picture, content))
        held += len(content)
        if held >= GROUP_BYTES:
            yield group
            group, held = [], 0
    if group:
        yield group
