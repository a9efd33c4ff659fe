"""What `--from` may say, and the data source that it becomes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from craton.cli.errors import CommandError

FORMS = "a folder, s3://bucket/prefix, https://site/path, hub:NAMESPACE/NAME or postgresql:DATABASE/TABLE"


def source_of(origin: str, register_folder: Callable[[Path], str]) -> dict[str, Any]:
    """A `NewDataSource` as JSON. register_folder: makes a folder of this machine a bucket, and gives its name.

    Raises CommandError for what is none of FORMS.
    """
    kind, options = _spec(origin, register_folder)
    return {"name": _name(origin), "spec": {"kind": kind, "options": options}}


def _spec(origin: str, register_folder: Callable[[Path], str]) -> tuple[str, dict[str, Any]]:
    if origin.startswith("s3://"):
        bucket, _, prefix = origin.removeprefix("s3://").partition("/")
        return "bucket", {"bucket": bucket, "prefixes": [prefix] if prefix else []}
    if origin.startswith(("http://", "https://")):
        return "web", {"seeds": [origin]}
    if origin.startswith("hub:"):
        return "hub", {"repo": origin.removeprefix("hub:")}
    if origin.startswith("postgresql:"):
        database, _, table = origin.removeprefix("postgresql:").partition("/")
        if not database or not table:
            raise CommandError("Name the database (as config.toml does) and its table: postgresql:DATABASE/TABLE")
        return "sql", {"database": database, "table": table}
    folder = Path(origin).expanduser()
    if not folder.exists():
        raise CommandError(f"{origin}: there is no such folder. --from takes {FORMS}.")
    if not folder.is_dir():
        raise CommandError(f"{origin} is a file; give the folder that it is in.")
    return "bucket", {"bucket": register_folder(folder.resolve())}


def _name(origin: str) -> str:
    """A name that the Bedrock clients accept too: letters, digits, single dashes."""
    tail = urlsplit(origin).path if "://" in origin else origin.partition(":")[2] or origin
    host = urlsplit(origin).hostname or ""
    letters = [letter if letter.isascii() and letter.isalnum() else " " for letter in f"{host} {Path(tail).name}"]
    return "-".join("".join(letters).split())[:100] or "documents"
