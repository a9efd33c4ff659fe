"""The scanning process: `python -m craton.hub.keeping.scan_child PARENT MEMORY FORMAT PATH`; prints a `Scan` as JSON.

Pickles are never loaded: picklescan reads their opcodes and lists what they would import. That is somebody else's bytes
all the same, and archives may unpack to anything, so it happens here: under limits of memory and processor time, unable
to write a file, open a connection or start a process.
"""

from __future__ import annotations

import os
import pickletools
import resource
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from craton.children.limits import bound_memory, die_with
from craton.core.errors import Damaged
from craton.formats.gguf import read_gguf_file
from craton.formats.safetensors import read_safetensors_file
from craton.hub.keeping.scans import Format, Import, Scan

CPU_SECONDS = 120
MOST_IMPORTS = 1000
ZIP, PICKLE, ARRAY = b"PK\x03\x04", b"\x80", b"\x93NUM"
READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "urllib.")


def main() -> None:
    parent, memory, format, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    die_with(parent)
    os.nice(10)
    sys.dont_write_bytecode = True
    scanner: Any = None
    if format == "pickle":
        scanner = import_module("picklescan.scanner")
    sys.addaudithook(_refuse)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    bound_memory(memory)
    sys.stdout.buffer.write(msgspec.json.encode(_scan(format, path, scanner)))


def _scan(format: str, path: Path, scanner: Any) -> Scan:
    try:
        if format == "pickle":
            return _pickle(path, scanner)
        if format == "gguf":
            read_gguf_file(path, "the file")
            return Scan("safe", "gguf")
        read_safetensors_file(path, "the file")
        return Scan("safe", "safetensors")
    except Damaged as error:
        return Scan("error", _format(format), message=error.reason)
    except MemoryError:
        return Scan("error", _format(format), message="reading it takes more memory than is allowed")
    except Exception:  # what libraries raise on broken files is of every kind
        return Scan("error", _format(format), message="it cannot be read")


def _pickle(path: Path, scanner: Any) -> Scan:
    with path.open("rb") as file:
        head = file.read(4)
        problem = _zip_problem(path) if head == ZIP else _pickle_problem(file)
        file.seek(0)
        found = scanner.scan_numpy(file, "file") if head == ARRAY else scanner.scan_bytes(file, "file")
    imports = tuple(
        sorted(
            (Import(it.module[:200], it.name[:200], it.safety.value) for it in found.globals[:MOST_IMPORTS]),
            key=lambda it: (it.module, it.name),
        )
    )
    levels = {it.safety for it in imports}
    if "dangerous" in levels or len(found.globals) > MOST_IMPORTS:
        return Scan("unsafe", "pickle", imports)
    if problem and not imports and not head.startswith((ZIP, PICKLE, ARRAY)):
        return Scan("unscanned", "pickle", message="it is no pickle")
    if problem and head != ARRAY:
        return Scan("error", "pickle", imports, problem)
    return Scan("suspicious" if "suspicious" in levels else "safe", "pickle", imports)


def _pickle_problem(file: BinaryIO) -> str:
    """What picklescan does not tell: that the first pickle does not come to its end."""
    file.seek(0)
    try:
        for _ in pickletools.genops(file):
            pass
    except Exception:  # of every kind, on broken bytes
        return "it is a broken pickle"
    return ""


def _zip_problem(path: Path) -> str:
    """What picklescan passes over: members that it cannot read, but somebody with the password can."""
    with zipfile.ZipFile(path) as archive:
        hidden = any(it.flag_bits & 1 or it.compress_type not in READABLE for it in archive.infolist())
    return "it is an archive with members that cannot be read" if hidden else ""


def _format(text: str) -> Format:
    found: Format = msgspec.convert(text, Format)
    return found


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"a scanner may not do this: {event}")


if __name__ == "__main__":
    main()
