"""`python -m bench [NAME [OPTIONS]]`: runs one benchmark, or all of them with their defaults (but for those that take
long, install something, or must be told where their data is: they are run by name)."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = ("echo", "serving", "embeddings", "index", "retrieval", "s3")
BY_NAME = (
    "training",
    "tuning",
    "ingestion",
    "retrieving",
    "answers",
    "calibration",
    "hub_xet",
    "hub_trees",
    "hub_transfer",
    "predicting",
    "metrics",
    "batching",
    "adapters",
)


def main() -> int:
    names = sys.argv[1:2] or NAMES
    for name in names:
        if name not in NAMES + BY_NAME:
            print(f"There is no benchmark {name!r}; there are: {', '.join(NAMES + BY_NAME)}.", file=sys.stderr)
            return 2
        print(f"# {name}", flush=True)
        import_module(f"bench.{name}").main(sys.argv[2:])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
