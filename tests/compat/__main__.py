"""`make compat`: the same scenarios through older generations of the unmodified clients.

    python -m tests.compat [--only TEXT] [--no-report]
    python -m tests.compat --hf-tests CHECKOUT [pytest's arguments]     # of the huggingface_hub repository

Ends with 1 when a check fails that is not a known limit (generations.py), or too few of the suite's tests pass.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.compat.environments import python_of
from tests.compat.generations import GENERATIONS, Generation
from tests.compat.report import Outcome, show, write
from tests.compat.suite import judging
from tests.compat.suite.running import run_suite, version_of
from tests.servers import RunningServer, serving

HERE = Path(__file__).resolve().parent
REPORT = HERE.parents[1] / "docs" / "proof" / "compat.md"
SUITE_REPORT = REPORT.with_name("hub_suite.md")
CONFIG = """
[echo]
script = "script.yaml"
[hub]
xet_above = "1MiB"  # so that downloads of the scenarios' large files go through Xet
"""
SCENARIO_SECONDS = 600.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.compat", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="generations whose name holds this text")
    parser.add_argument("--no-report", action="store_true", help="leave docs/proof/compat.md as it is")
    parser.add_argument("--hf-tests", type=Path, help="a checkout of the huggingface_hub repository: run its tests")
    options, more = parser.parse_known_args()
    console = Console()
    if options.hf_tests is not None:
        return run_hub_suite(options.hf_tests, more, console, report=not options.no_report and not more)
    outcomes: list[Outcome] = []
    for generation in GENERATIONS:
        if options.only in generation.name:
            console.print(f"{generation.name} ...", highlight=False)
            outcomes += try_out(generation)
    show(outcomes, console)
    if not options.no_report and not options.only:
        write(outcomes, REPORT)
    return 1 if any(outcome.bad for outcome in outcomes) else 0


def run_hub_suite(checkout: Path, selected: list[str], console: Console, *, report: bool) -> int:
    judged = judging.judge(run_suite(checkout, selected))
    for test in judged.failed:
        console.print(f"{test.test}: {test.why}", soft_wrap=True, markup=False, highlight=False)
    console.print(f"{judged.passed} passed, {len(judged.failed)} failed: {judged.share:.1%} (goal {judging.GOAL:.0%})")
    if report:
        judging.write(judged, version_of(checkout), SUITE_REPORT)
    return 0 if judged.share >= judging.GOAL else 1


def try_out(generation: Generation) -> list[Outcome]:
    """All checks of one generation, against a server of its own (the script counts calls)."""
    try:
        python = python_of(generation)
    except subprocess.SubprocessError as error:
        words = str(getattr(error, "stderr", None) or error).strip()
        return [Outcome(generation, "install", False, words[-400:])]
    with tempfile.TemporaryDirectory(prefix="craton-compat-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        (home / "script.yaml").write_bytes((HERE / "script.yaml").read_bytes())
        with serving(home, config=CONFIG) as server:
            return _run_scenario(generation, python, server)


def _run_scenario(generation: Generation, python: Path, server: RunningServer) -> list[Outcome]:
    names = ("PATH", "LANG", "TMPDIR", "HOME")
    environment = {name: server.environment[name] for name in names if name in server.environment}
    # Nothing of the user's settings reaches the clients; no metadata service is asked for credentials.
    environment |= {"CRATON_URL": server.url, "CRATON_TOKEN": server.token, "AWS_EC2_METADATA_DISABLED": "true"}
    # The hub's clients read these when they are imported; nobody is told of calls, no index is asked for newer clients.
    environment |= {"HF_ENDPOINT": server.url, "HF_TOKEN": server.token}
    environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    environment |= {"CRATON_TEST_PYTHON": sys.executable}  # for scenarios that start a server, not a client
    command = [str(python), str(HERE / "scenarios" / f"{generation.scenario}.py")]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SCENARIO_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return [Outcome(generation, "run", False, f"not done after {SCENARIO_SECONDS:.0f} s")]
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    outcomes = [Outcome(generation, one["check"], one["ok"], one["detail"]) for one in found]
    if done.returncode:
        outcomes.append(Outcome(generation, "run", False, done.stderr.strip()[-400:]))
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
