"""The process that reads tables: `python -m craton.data.viewing.child FD PARENT MEGABYTES FILE_BYTES`.

One task at a time, under limits of processor time (SIGPROF kills), of memory and of the size of a file that it
writes. It may die of any file: that is its use. Python code in it can open no connection and start no process.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from importlib.abc import MetaPathFinder

import msgspec

from craton.children.errors import to_wire
from craton.children.frames import Frames, encode
from craton.children.limits import bound_memory, die_with
from craton.core.errors import CratonError, Damaged, TooLarge
from craton.data.parsing.child import refuse
from craton.data.viewing.frames import Answer, Failed, Order, Started

_MEGABYTE = 1 << 20


def main() -> None:
    parent, megabytes, file_bytes = (int(argument) for argument in sys.argv[2:5])
    die_with(parent)
    sock = socket.socket(fileno=int(sys.argv[1]))
    sys.dont_write_bytecode = True
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # gives back what it does not need
    sys.meta_path.insert(0, _WithoutPandas())
    import pyarrow as pa

    pa.set_cpu_count(1)
    sys.addaudithook(refuse)
    bound_memory(megabytes * _MEGABYTE)
    _bound_files(file_bytes)
    sock.sendall(encode(Started()))
    frames: Frames[Order] = Frames(Order)
    while data := sock.recv(65536):
        for order in frames.feed(data):
            signal.setitimer(signal.ITIMER_PROF, order.limits.cpu_seconds)
            answer = _answer(order)
            signal.setitimer(signal.ITIMER_PROF, 0)
            sock.sendall(encode(answer))


class _WithoutPandas(MetaPathFinder):
    """Where it is installed, pyarrow would import it, and give other values for the same file."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def _answer(order: Order) -> Answer | Failed:
    import pyarrow as pa

    from craton.data.viewing.tasks import perform

    error: CratonError
    try:
        return Answer(msgspec.msgpack.encode(perform(order.task, order.limits)))
    except CratonError as raised:
        error = raised
    except (MemoryError, pa.ArrowMemoryError):
        error = TooLarge("The memory to read the file", order.limits.megabytes, unit="megabytes")
    except Exception:  # what libraries raise on broken files is of every kind
        traceback.print_exc()
        error = Damaged("The file", "its format is broken")
    return Failed(to_wire(error, ""))


def _bound_files(file_bytes: int) -> None:
    if sys.platform != "linux":
        return
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing fails instead
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))


if __name__ == "__main__":
    main()
