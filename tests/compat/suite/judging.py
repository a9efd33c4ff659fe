"""Which tests count, and what is known of those that do not pass."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from tests.compat.suite.running import Ended

NOT_OURS = {
    r"test_buckets|test_copy_files|[Bb]ucket": "about buckets",
    r"test_kernels|[Kk]ernel": "about kernels",
    r"test_inference|InferenceEndpoint|InferenceCatalog|inference_provider": "about inference providers and endpoints",
    r"test_jobs_api|test_sandbox|Jobs?API|TestSpace|Space(Hardware|Runtime|Secret|Variable|Storage|Volume)|_space_": (
        "about running Spaces, jobs and sandboxes"
    ),
}
"""Part of a test's id -> what it is about that no self-hosted hub of files has."""

SILENT, SKIPPED = "never spoke to the server", "skipped by itself"
ELSEWHERE = "asks a fixed host that is not HF_ENDPOINT, as this version of the client does"
GOAL = 0.95
REASONS = {
    r"test_create_repo_private_by_default": "one organization of the Hub's own test server makes repositories private",
    r"test_whoami_with_passing_token": "an organization is a namespace here, and has no other name to be shown by",
    r"RelativePaths": "a backslash in a path is refused: it is a separator on some of the machines that will write it",
    r"test_xet_file_skips_per_file_head|TestXet": (
        "chunks are offered from `[hub] xet_above` on, by default for very large files alone"
    ),
    r"TestUniqueRequestId": "a request's id is the server's own: what a client sends cannot name lines of its log",
}
"""Part of a test's id -> why it does not pass, where that is meant."""


class Judged(Struct, frozen=True):
    """counted: of the tests that speak to the server and are about a hub, how each ended."""

    counted: dict[str, Ended]
    left_out: dict[str, int]

    @property
    def passed(self) -> int:
        return sum(test.outcome == "passed" for test in self.counted.values())

    @property
    def failed(self) -> list[Ended]:
        return [test for _, test in sorted(self.counted.items()) if test.outcome == "failed"]

    @property
    def share(self) -> float:
        """Of those that ran: a skipped test says nothing."""
        ran = self.passed + len(self.failed)
        return self.passed / ran if ran else 0.0


def judge(ended: Iterable[Ended]) -> Judged:
    last: dict[str, Ended] = {}
    for one in ended:  # a test that failed while it was set up, or taken down, failed
        if one.test not in last or one.outcome == "failed":
            last[one.test] = one
    counted, left_out = (
        {},
        dict.fromkeys([*NOT_OURS.values(), "never spoke to the server", "skipped by itself", ELSEWHERE], 0),
    )
    for name, one in last.items():
        reason = next((about for part, about in NOT_OURS.items() if re.search(part, name)), "")
        if one.outcome == "skipped":
            reason = reason or SKIPPED
        elif not one.requests:
            reason = reason or SILENT
        elif one.outcome == "failed" and one.elsewhere:
            reason = reason or ELSEWHERE
        if reason:
            left_out[reason] += 1
        else:
            counted[name] = one
    return Judged(counted, left_out)


def write(judged: Judged, version: str, path: Path) -> None:
    today = datetime.now(UTC).date().isoformat()
    lines = [
        "# The huggingface_hub repository's own tests, against Craton",
        "",
        f"Written by `make compat HF_TESTS=checkout` on {today}, with huggingface_hub {version} and its tests of that "
        "version: unchanged but for the server's address, the users' names and their keys. Counted are the tests that "
        "speak to the server and are about a hub of repositories.",
        "",
        "| | tests |",
        "|---|---|",
        f"| counted | {len(judged.counted)} |",
        f"| passed | {judged.passed} |",
        f"| failed | {len(judged.failed)} |",
        f"| **share** (goal {GOAL:.0%}) | **{judged.share:.1%}** |",
        *(f"| left out: {reason} | {number} |" for reason, number in judged.left_out.items() if number),
        "",
        "## Failed",
        "",
        *(f"- `{test.test}`: {_why(test)}" for test in judged.failed),
    ]
    path.write_text("\n".join(lines).rstrip() + "\n")


def _why(test: Ended) -> str:
    return next((reason for part, reason in REASONS.items() if re.search(part, test.test)), test.why)
