"""Optimises one shard: `python -m craton.index.edge.builder FD PARENT FOLDER`. Exit code 0 when it is done."""

from __future__ import annotations

import sys

import qdrant_edge as edge

from craton.children.limits import die_with
from craton.children.niceness import JOB, be_nice


def main() -> None:
    die_with(int(sys.argv[2]))
    be_nice(JOB)  # searches and chats come first
    shard = edge.EdgeShard.load(sys.argv[3])
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main()
