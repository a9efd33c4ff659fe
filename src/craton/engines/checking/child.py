"""The checking process: `python -m craton.engines.checking.child FD PARENT MEGABYTES`.

One check at a time, under a limit of processor time (SIGPROF kills) and of memory. It may die of any check: that is its
use.
"""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

from craton.children.frames import Frames, encode
from craton.children.limits import die_with
from craton.engines.checking.compilers import Compilers
from craton.engines.checking.frames import Check, Started, Verdict
from craton.engines.checking.templates import try_template

_MEGABYTE = 1024 * 1024


def main() -> None:
    die_with(int(sys.argv[2]))
    sock = socket.socket(fileno=int(sys.argv[1]))
    compilers = Compilers()
    _limit_memory(int(sys.argv[3]))
    sock.sendall(encode(Started()))
    frames: Frames[Check] = Frames(Check)
    while data := sock.recv(65536):
        for check in frames.feed(data):
            signal.setitimer(signal.ITIMER_PROF, check.cpu_seconds)
            reason = _judge(compilers, check)
            signal.setitimer(signal.ITIMER_PROF, 0)
            sock.sendall(encode(Verdict(reason)))


def _judge(compilers: Compilers, check: Check) -> str:
    judges = {
        "schema": compilers.schema,
        "grammar": compilers.grammar,
        "regex": compilers.regex,
        "template": try_template,
    }
    try:
        return judges[check.kind](check.text)
    except MemoryError:
        return "it takes too much memory"
    except RecursionError:
        return "it is nested too deep"
    except (ValueError, TypeError, RuntimeError):
        return "it does not compile"


def _limit_memory(megabytes: int) -> None:
    """So much more address space than the compilers take; where the system cannot say how much that is, no limit."""
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + megabytes * _MEGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
