"""Writes docs/operations.md from the route table: what each API's operations do here. `--check` only compares."""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from craton.app.build import Server
from craton.app.config import Home
from craton.app.platform import open_platform
from craton.wire.http import Route

PAGE = Path(__file__).parent.parent / "docs" / "operations.md"
TITLES = {
    "aws": "Amazon Bedrock",
    "s3": "Amazon S3",
    "sts": "AWS STS",
    "iam": "AWS IAM",
    "opensearchserverless": "OpenSearch Serverless",
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "huggingface": "Hugging Face Hub",
    "openinference": "Open Inference Protocol",
    "craton": "Craton's own",
}
AWS = frozenset({"aws", "s3", "sts", "iam", "opensearchserverless"})
STATUSES = ("real", "bookkeeping", "refused")
HEAD = """\
# Operations

Written by `tools/operations.py` from the route table; a test keeps it true.

- **real**: a model, an index or a run stands behind the answer.
- **bookkeeping**: the state is kept, and nothing runs behind it.
- **refused**: known, and answered with the API's own typed error that names the operation. After authentication, never
  before it.

The role is the least that a key needs: `reader` < `invoker` < `developer` < `admin` < `root`.
"""
LEAST_ROLE = {
    "public": "none",
    "read": "reader",
    "invoke": "invoker",
    "write": "developer",
    "administer": "admin",
    "operate": "root",
}


def routes() -> list[Route]:
    """The table of a server with nothing configured."""
    with tempfile.TemporaryDirectory() as folder:
        platform = open_platform(Home(Path(folder)))
        try:
            return Server(platform, {}).services.routes
        finally:
            platform.close()


def page(table: Iterable[Route]) -> str:
    """The whole page."""
    by_dialect = defaultdict(list)
    for route in table:
        by_dialect[route.dialect].append(route)
    text = [HEAD, _summary(by_dialect)]
    for dialect, found in by_dialect.items():
        text.append(f"\n## {TITLES[dialect]}\n")
        text.append(_answered([route for route in found if route.status != "refused"]))
        refused = [route for route in found if route.status == "refused"]
        if refused:
            text.append("\n### Refused\n")
            text.extend(_refused_services(refused) if dialect in AWS else [_refused_paths(refused)])
    return "\n".join(text)


def _summary(by_dialect: dict[str, list[Route]]) -> str:
    lines = ["| API | real | bookkeeping | refused |", "|---|---|---|---|"]
    for dialect, found in by_dialect.items():
        real, kept, refused = (len(_names(found, status)) for status in STATUSES)
        lines.append(f"| {TITLES[dialect]} | {real} | {kept} | {refused} |")
    return "\n".join(lines)


def _names(found: list[Route], status: str) -> set[tuple[str, str]]:
    """AWS counts by operation; of the others, what is refused counts by path."""
    return {
        ("", _stem(route)) if status == "refused" and route.dialect not in AWS else (route.note, route.operation)
        for route in found
        if route.status == status
    }


def _answered(found: list[Route]) -> str:
    lines = ["| operation | request | role | status | notes |", "|---|---|---|---|---|"]
    by_operation = defaultdict(list)
    for route in found:
        by_operation[route.operation].append(route)
    for operation, group in by_operation.items():
        first = group[0]
        requests = "<br>".join(f"`{route.method} {route.pattern}`" for route in group)
        role = LEAST_ROLE[first.action.value] if first.action else ""
        lines.append(f"| {operation} | {requests} | {role} | {first.status} | {first.note} |")
    return "\n".join(lines)


def _refused_services(found: list[Route]) -> list[str]:
    text = []
    for service, same in groupby(found, key=lambda route: route.note):
        names = [route.operation for route in same]
        text.append(f"**{service}** ({len(names)}): {', '.join(names)}.\n")
    return text


def _refused_paths(found: list[Route]) -> str:
    paths = dict.fromkeys(_stem(route) for route in found)
    return "By path, everything below it included: " + ", ".join(f"`{path}`" for path in paths) + ".\n"


def _stem(route: Route) -> str:
    """The path without its prefix for a second mount and without what comes below it."""
    return route.pattern.removeprefix("/openai").removeprefix("/anthropic").removesuffix("/{rest+}")


def main() -> int:
    text = page(routes())
    if "--check" in sys.argv:
        if PAGE.read_text() == text:
            return 0
        print("docs/operations.md is not what the route table says: run `python tools/operations.py`", file=sys.stderr)
        return 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
