"""Zip files before any library opens them: how many members, how large unpacked, and no document types inside."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from craton.core.errors import CratonError, Damaged, TooLarge, Unsupported
from craton.data.parsing.limits import ParseLimits

_SMALL = 1 << 20  # bytes: a member that unpacks to less may have any ratio
_HEAD = 4096


def check_archive(path: Path, limits: ParseLimits) -> None:
    """What is declared bounds what is read: zipfile unpacks no more of a member than its directory says. Raises
    TooLarge, Damaged, Unsupported for encrypted members."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > limits.members:
                raise TooLarge("The document's archive", limits.members, len(members), "members")
            total = sum(member.file_size for member in members)
            if total > limits.unpacked_bytes:
                raise TooLarge("The document when unpacked", limits.unpacked_bytes, total)
            for member in members:
                if member.flag_bits & 1:
                    raise Unsupported("An encrypted archive", "Save it without a password.")
                if member.file_size > _SMALL and member.file_size > limits.ratio * max(member.compress_size, 1):
                    times = member.file_size // max(member.compress_size, 1)
                    raise TooLarge("A part of the document when unpacked", limits.ratio, times, "times its size")
                if member.filename.endswith((".xml", ".rels")):
                    with archive.open(member) as file:
                        if b"<!DOCTYPE" in file.read(_HEAD).replace(b"\0", b""):
                            raise Damaged("The document", "it declares a document type, as Office documents never do")
    except CratonError:
        raise
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, EOFError, OSError):
        raise Damaged("The document", "its zip archive cannot be read") from None
