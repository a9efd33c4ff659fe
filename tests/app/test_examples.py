"""The examples of knowledge bases and of the hub run as they stand, under `craton exec`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import RunningServer, clean_environment, craton, serving

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ALIASES = """
[aliases]
"amazon.titan-embed-text-v2:0" = "all-minilm-l6-v2"
"anthropic.claude-3-sonnet-20240229-v1:0" = "smollm2-135m-instruct"
"""


@pytest.fixture(scope="module")
def named_server(starter_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of the starter models, under Amazon's names too."""
    home = tmp_path_factory.mktemp("examples") / "home"
    craton("models", "pull", "--starters", "--from", str(starter_files), environment=clean_environment(home))
    with serving(home, config=ALIASES) as server:
        yield server


def run(server: RunningServer, example: str) -> list[str]:
    """The lines that it prints."""
    command = [sys.executable, "-m", "craton", "exec", "--", sys.executable, str(EXAMPLES / example)]
    done = subprocess.run(
        command, env=dict(server.environment), capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.slow
def test_the_workshops_flow_runs_and_leaves_nothing(named_server: RunningServer) -> None:
    said = run(named_server, "workshop.py")
    assert [line.split()[-3:] for line in said[:3]] == [["COMPLETE,", "3", "documents"]] * 3
    assert "old-travel.md" in said[3]
    assert "old-travel.md" not in said[4]
    assert "leave.md" not in said[5]
    assert said[6] == "A flight must be approved two weeks before it."
    assert said[7].endswith("/handbook/travel.md")
    assert said[-1] == "cleaned up"
    with named_server.client() as client:
        assert client.get("/healthz").status_code == 200
    assert "workshop-" not in named_server.craton("buckets", "list").stdout
    assert "workshop-" not in named_server.craton("kb", "list").stdout


def test_the_shortest_example_answers_from_its_document(named_server: RunningServer) -> None:
    said = run(named_server, "knowledge_base.py")
    assert said[0] == "COMPLETE 1 document"
    assert said[-1] == "  from s3://handbook/keys.md"


def test_a_models_home_keeps_its_versions_and_merges_a_proposal(named_server: RunningServer) -> None:
    said = run(named_server, "hub.py")
    assert "  model.safetensors (4000080 bytes)" in said
    assert "commits: Other weights, The first weights, initial commit" in said
    assert said[-5:] == [
        "v1: the last weight is 999999",
        "main: the last weight is 0",
        "the first commit, whole: .gitattributes, README.md, config.json, model.safetensors",
        "proposed: +It counts.",
        "merged as: Say what it does (#1)",
    ]
    with named_server.client() as client:
        assert client.get("/api/models", params={"author": "examples"}).json() == []
