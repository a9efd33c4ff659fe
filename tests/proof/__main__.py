"""`make proof`: slow proofs; each prints its figures and writes them to docs/proof/.

    python -m tests.proof [startup] [soak] [kills] [index_soak] [ingestion] [hub] [training] [tuning] [objectives]
                          [architectures] [customizing]
                          [--minutes 10] [--kills 100] [--points 1000000] [--note TEXT]

Ends with 1 when a bound does not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.proof import (
    architectures,
    customizing,
    hub,
    index_soak,
    ingestion,
    kills,
    objectives,
    soak,
    startup,
    training,
    tuning,
)
from tests.proof.report import Proof


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__.splitlines()[0])
    parser.add_argument(
        "names",
        nargs="*",
        metavar="PROOF",
        help="startup, soak, kills, index_soak, ingestion, hub, training, tuning, objectives, architectures, "
        "customizing; default: all",
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of the soak")
    parser.add_argument("--kills", type=int, default=100, help="of the kill storms")
    parser.add_argument("--points", type=int, default=1_000_000, help="of the soak of the index")
    parser.add_argument("--note", default="", help="about the machine, for the report")
    options = parser.parse_args()
    proofs: dict[str, Callable[[Path], Proof]] = {
        "startup": startup.prove,
        "soak": lambda folder: soak.prove(folder, options.minutes),
        "kills": lambda folder: kills.prove(folder, options.kills),
        "index_soak": lambda folder: index_soak.prove(folder, options.points),
        "ingestion": lambda folder: ingestion.prove(folder, options.kills),
        "hub": lambda folder: hub.prove(folder, options.kills),
        "training": training.prove,
        "tuning": tuning.prove,
        "objectives": objectives.prove,
        "customizing": customizing.prove,
        "architectures": architectures.prove,
    }
    names = options.names or list(proofs)
    if unknown := sorted(set(names) - set(proofs)):
        parser.error(f"there is no proof {unknown[0]!r}; there are {', '.join(proofs)}")
    holds = True
    for name in names:
        holds &= _prove(name, proofs[name], _command(name, options), options.note)
    return 0 if holds else 1


def _prove(name: str, prove: Callable[[Path], Proof], command: str, note: str) -> bool:
    print(name, flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="craton-proof-") as folder:
        proof = prove(Path(folder))
    proof.write(command, note)
    print(f"  {'holds' if proof.holds else 'DOES NOT HOLD'}, {time.monotonic() - started:.0f} s", flush=True)
    return proof.holds


def _command(name: str, options: argparse.Namespace) -> str:
    arguments = {
        "soak": f" --minutes {options.minutes:g}",
        "kills": f" --kills {options.kills}",
        "index_soak": f" --points {options.points}",
        "ingestion": f" --kills {options.kills}",
        "hub": f" --kills {options.kills}",
    }.get(name, "")
    return f"python -m tests.proof {name}{arguments}"


if __name__ == "__main__":
    sys.exit(main())
