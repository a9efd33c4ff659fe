"""`craton batches`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.batch.workshop import as_lines, record, said
from tests.servers import RunningServer


def test_a_file_goes_in_and_a_file_comes_out(front: RunningServer, tmp_path: Path) -> None:
    source, out = tmp_path / "my questions.jsonl", tmp_path / "answers.jsonl"
    source.write_bytes(as_lines([*(record(number) for number in range(20)), "not a record"]))
    done = front.craton("batches", "create", "--model", "echo", "--in", str(source), "--out", str(out))
    assert "21 records, 1 of them failed" in done.stderr
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [said(line) for line in lines[:20]] == [f"say {number}" for number in range(20)]
    assert "error" in lines[20]
    (newest, *_) = json.loads(front.craton("batches", "list", "--json").stdout)
    assert (newest["jobName"], newest["status"]) == ("my-questions", "Completed")
    again = front.craton("batches", "pull", newest["jobArn"].rpartition("/")[2], "--out", str(out), "--json")
    assert json.loads(again.stdout)["errorRecordCount"] == 1
    assert [json.loads(line) for line in out.read_text().splitlines()] == lines


def test_what_the_server_refuses_is_said(front: RunningServer, tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_bytes(as_lines([record(1)]))
    done = front.craton("batches", "create", "--model", "nobody", "--in", str(source), check=False)
    assert (done.returncode, "nobody" in done.stderr) == (1, True)
