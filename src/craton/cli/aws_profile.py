"""Writes one profile into the AWS config and credentials files, leaving every other line as it is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from craton.cli.connection import Connection
from craton.core.errors import Conflict, InvalidRequest

MARK = "# written by `craton env --profile`"


def write_profile(name: str, connection: Connection, region: str, *, force: bool) -> tuple[Path, Path]:
    """Returns the two files. Raises Conflict for a profile that Craton did not write, unless force."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
        raise InvalidRequest("use letters, digits, '.', '_' and '-'", "profile")
    config = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    credentials = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    heading = "default" if name == "default" else f"profile {name}"
    sections = (
        (config, heading, {"region": region, "endpoint_url": connection.url}),
        (
            credentials,
            name,
            {
                "aws_access_key_id": connection.access_key_id,
                "aws_secret_access_key": connection.secret_access_key,
            },
        ),
    )
    texts = [(path, _with_section(path, title, values, force)) for path, title, values in sections]
    for path, text in texts:
        _write_private(path, text)
    return config, credentials


def _with_section(path: Path, title: str, values: Mapping[str, str], force: bool) -> str:
    text = path.read_text("utf-8") if path.exists() else ""
    section = f"[{title}]\n{MARK}\n" + "".join(f"{name} = {value}\n" for name, value in values.items())
    pattern = re.compile(rf"^\[\s*{re.escape(title)}\s*\][^\n]*\n(?:(?!\[)[^\n]*(?:\n|\Z))*", re.MULTILINE)
    found = pattern.search(text)
    if found is None:
        gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
        return text + gap + section
    if MARK not in found[0] and not force:
        raise Conflict("AWS profile", title, "it exists and Craton did not write it; choose another name, or --force.")
    lines = found[0].splitlines(keepends=True)
    after: list[str] = []  # blank lines and comments before the next heading belong to it
    while not (last := lines[-1].strip()) or (last.startswith("#") and last != MARK):
        after.insert(0, lines.pop())
    added = [line for line in lines[1:] if MARK in found[0] and not _is_ours(line, values)]
    return text[: found.start()] + section + "".join(added + after) + text[found.end() :]


def _is_ours(line: str, values: Mapping[str, str]) -> bool:
    return line.strip() == MARK or line.partition("=")[0].strip() in values


def _write_private(path: Path, text: str) -> None:
    path = path.resolve()  # a link to somewhere stays one
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.craton-{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
