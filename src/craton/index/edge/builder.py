"""Optimises one shard: `python -m craton.index.edge.builder FD PARENT FOLDER`. Exit code 0 when it is done."""

from __future__ import annotations

import os
import sys

import qdrant_edge as edge

from craton.children.limits import die_with

NICENESS = 10  # searches and chats come first


def main() -> None:
    die_with(int(sys.argv[2]))
    os.nice(NICENESS)
    shard = edge.EdgeShard.load(sys.argv[3])
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main()
