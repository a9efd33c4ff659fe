"""The process that looks inside models: `python -m craton.inspecting.child FD PARENT`.

One order at a time, under a limit of processor time (SIGPROF kills) and of memory. It may die of any file: that is its
use. torch is imported for the first order that needs it.
"""

from __future__ import annotations

import signal
import socket
import sys
import traceback

from craton.children.errors import to_wire
from craton.children.frames import Frames, encode
from craton.children.limits import bound_memory, die_with
from craton.core.errors import CratonError, Damaged, TooLarge
from craton.inspecting.cutting import cut
from craton.inspecting.frames import Cut, Failed, Look, Looked, Order, Pieces, Started


def main() -> None:
    die_with(int(sys.argv[2]))
    sock = socket.socket(fileno=int(sys.argv[1]))
    sys.dont_write_bytecode = True
    sock.sendall(encode(Started()))
    frames: Frames[Order] = Frames(Order)
    while data := sock.recv(65536):
        for order in frames.feed(data):
            signal.setitimer(signal.ITIMER_PROF, order.cpu_seconds)
            answer = _answer(order)
            signal.setitimer(signal.ITIMER_PROF, 0)
            sock.sendall(encode(answer))


def _answer(order: Order) -> Pieces | Looked | Failed:
    error: CratonError
    try:
        return Pieces(cut(order.source, order.text)) if isinstance(order, Cut) else _look(order)
    except CratonError as raised:
        error = raised
    except MemoryError:
        error = TooLarge("The memory to look into the model", _megabytes(order), unit="megabytes")
    except Exception as raised:  # what libraries raise on broken files is of every kind
        traceback.print_exc()
        error = Damaged(order.source.model, f"its files cannot be read ({type(raised).__name__})")
    return Failed(to_wire(error, order.source.model))


def _look(order: Look) -> Looked:
    from craton.inspecting.attending import look  # torch takes seconds

    bound_memory(order.megabytes << 20)
    return Looked(look(order))


def _megabytes(order: Order) -> int:
    return order.megabytes if isinstance(order, Look) else 0


if __name__ == "__main__":
    main()
