"""`craton datasets add|schema|rows|stats` against a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Craton, inside
from tests.servers import RunningServer

pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")

CSV = "id,city,calls,note\n1,Bonn,3,\n2,Ulm,12,\n3,Bonn,,\n"


@pytest.fixture(scope="module")
def run(server: RunningServer) -> Craton:
    return inside(server.environment)


@pytest.fixture(scope="module")
def churn(run: Craton, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A dataset that was added from a file."""
    file = tmp_path_factory.mktemp("rows") / "churn.csv"
    file.write_text(CSV)
    done = json.loads(run("datasets", "add", "cli/churn", str(file), "--json").stdout)
    assert (done["dataset"], done["path"], done["rows"], len(done["revision"])) == ("cli/churn", "churn.csv", 3, 40)
    assert done["warnings"] == ["The column 'note' is empty."]
    assert done["features"]["calls"] == {"dtype": "float64", "_type": "Value"}
    return "cli/churn"


def test_add_shows_what_was_found(run: Craton, churn: str, tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text('{"a": [1, 2], "b": {"c": "x"}}\n')
    done = run("datasets", "add", "cli/lines", str(file), "--to", "test.jsonl", "--private")
    assert "list of int64" in done.stdout
    assert "{c: string}" in done.stdout
    assert "1 rows as test.jsonl in cli/lines" in done.stderr
    splits = json.loads(run("datasets", "schema", "cli/lines", "--json").stdout)["splits"]
    assert [split["name"] for split in splits] == ["test"]


def test_a_broken_file_is_not_uploaded(run: Craton, tmp_path: Path) -> None:
    file = tmp_path / "broken.csv"
    file.write_text("a,b\n1,2,3\n")
    done = run("datasets", "add", "cli/broken", str(file), check=False)
    assert done.returncode == 1
    assert "does not fit the first one" in done.stderr
    assert run("datasets", "schema", "cli/broken", check=False).returncode == 1
    file = file.rename(tmp_path / "a.pdf")
    assert "not supported" in run("datasets", "add", "cli/broken", str(file), check=False).stderr


def test_schema_rows_and_stats(run: Craton, churn: str) -> None:
    schema = run("datasets", "schema", churn).stdout
    assert "calls" in schema
    assert "float64" in schema
    found = json.loads(run("datasets", "rows", churn, "--where", "calls > 1", "--order", "calls DESC", "--json").stdout)
    assert [row["cells"]["city"] for row in found["rows"]] == ["Ulm", "Bonn"]
    table = run("datasets", "rows", churn, "--search", "bonn", "--length", "1")
    assert "Bonn" in table.stdout
    assert "1 of 2 rows" in table.stderr
    stats = run("datasets", "stats", churn).stdout
    assert "Bonn (2), Ulm (1)" in stats
    assert "7.5" in stats
    columns = json.loads(run("datasets", "stats", churn, "--json").stdout)["columns"]
    assert columns[0]["values"]["mean"] == 2.0


def test_mistakes_are_sentences(run: Craton, churn: str) -> None:
    assert "namespace/name" in run("datasets", "rows", "churn", check=False).stderr
    assert "no repository" in run("datasets", "rows", "cli/nothing", check=False).stderr
    refused = run("datasets", "rows", churn, "--where", "id = (SELECT 1)", check=False)
    assert (refused.returncode, "subquery" in refused.stderr) == (1, True)
