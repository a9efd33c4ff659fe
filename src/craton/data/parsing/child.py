"""The parsing process: `python -m craton.data.parsing.child FD PARENT MEGABYTES`.

One document at a time, under limits of processor time (SIGPROF kills) and of address space. It may die of any document:
that is its use. Python code in it cannot open a connection or start a process, whatever a library is made to try.
"""

from __future__ import annotations

import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from craton.children.errors import to_wire
from craton.children.frames import Frames, encode
from craton.children.limits import die_with
from craton.core.errors import CratonError, Damaged, TooLarge
from craton.data.documents import Parsed
from craton.data.parsing.frames import Done, Failed, Part, Read, Started
from craton.data.parsing.reading import read

_MEGABYTE = 1 << 20
_PART = 1 << 20  # characters of one frame
_FORBIDDEN = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "urllib.",
    "ftplib.",
)


def main() -> None:
    parent, megabytes = int(sys.argv[2]), int(sys.argv[3])
    die_with(parent)
    sock = socket.socket(fileno=int(sys.argv[1]))
    sys.dont_write_bytecode = True
    sys.addaudithook(refuse)
    _limit_memory(megabytes)
    sock.sendall(encode(Started()))
    frames: Frames[Read] = Frames(Read)
    while data := sock.recv(65536):
        for document in frames.feed(data):
            signal.setitimer(signal.ITIMER_PROF, document.limits.cpu_seconds)
            answer = _answer(document)
            signal.setitimer(signal.ITIMER_PROF, 0)
            if isinstance(answer, Failed):
                sock.sendall(encode(answer))
            else:
                _send(sock, answer)


def _answer(document: Read) -> Parsed | Failed:
    limits = document.limits
    error: CratonError
    try:
        return read(Path(document.path), document.name, document.media_type, limits)
    except CratonError as raised:
        error = raised
    except MemoryError:
        error = TooLarge("The memory to read the document", limits.megabytes, unit="megabytes")
    except RecursionError:
        error = Damaged("The document", "it is nested too deep")
    except Exception:  # what libraries raise on broken files is of every kind
        traceback.print_exc()
        error = Damaged("The document", "its format is broken")
    return Failed(to_wire(error, ""))


def _send(sock: socket.socket, parsed: Parsed) -> None:
    at = 0
    for start in range(0, len(parsed.text), _PART):
        first = at
        while at < len(parsed.blocks) and parsed.blocks[at].start < start + _PART:
            at += 1
        sock.sendall(encode(Part(parsed.text[start : start + _PART], parsed.blocks[first:at])))
    sock.sendall(encode(Done(parsed.media_type, parsed.title, parsed.notes)))


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: every way of Python's own to the network or to another process."""
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"a parser may not do this: {event}")


def _limit_memory(megabytes: int) -> None:
    """So much more address space than now; where the system cannot say how much that is, no limit."""
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + megabytes * _MEGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if __name__ == "__main__":
    main()
