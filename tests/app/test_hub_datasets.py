"""The `datasets` library, unmodified, against a real server; and what the viewer's routes say of the same repositories.

The library reads its endpoint when it is imported, so each script runs in a process of its own.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.collaborating import Company, company

pytest.importorskip("datasets")
pytest.importorskip("duckdb")

TRAIN = "id,text,score\n" + "".join(f"{number},row {number},{number / 2}\n" for number in range(250))


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("datasets") / "home") as running:
        repo = {"repo_type": "dataset", "repo_id": "alice/churn"}
        running.alice.create_repo(**repo, private=True)
        for name, text in {"train.csv": TRAIN, "test.csv": "id,text,score\n1,one,\n2,two,2\n"}.items():
            running.alice.upload_file(path_or_fileobj=text.encode(), path_in_repo=name, **repo)
        yield running


def ran(firm: Company, tmp_path: Path, script: str) -> Any:
    """What the script prints as JSON. Nothing but the server is reachable by its environment."""
    environment = {
        "HF_ENDPOINT": firm.server.url,
        "HF_TOKEN": str(firm.alice.token),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "NO_PROXY": "*",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


LOADING = """
import io, json
from datasets import (ClassLabel, Dataset, DatasetDict, Features, Value, get_dataset_config_names,
    get_dataset_split_names, load_dataset, load_dataset_builder)

found = {}
csv = load_dataset("alice/churn")
found["csv"] = [csv["train"].num_rows, csv["test"][1], str(csv["train"].features)]
stream = load_dataset("alice/churn", split="train", streaming=True)
found["stream"] = [row["id"] for row in stream.skip(240)]
found["splits"] = get_dataset_split_names("alice/churn")
found["configs"] = get_dataset_config_names("alice/churn")
found["builder"] = load_dataset_builder("alice/churn").name

features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"]), "n": Value("int32")})
rows = {"text": ["a", "b", None], "label": [0, 1, -1], "n": [1, 2, 3]}
one = Dataset.from_dict(rows, features=features)
one.push_to_hub("alice/pushed")
again = load_dataset("alice/pushed", split="train")
found["pushed"] = [again.to_dict() == rows, again.features == features]
found["pushed stream"] = list(load_dataset("alice/pushed", split="train", streaming=True))
DatasetDict({"train": one, "test": one.select([0])}).push_to_hub("alice/both", config_name="small", private=True)
one.push_to_hub("alice/both", config_name="large", num_shards=2)
found["both"] = [get_dataset_config_names("alice/both"), get_dataset_split_names("alice/both", "small"),
    load_dataset("alice/both", "large", split="train").num_rows, load_dataset("alice/both", "small")["test"].num_rows]

from huggingface_hub import HfApi
api = HfApi()
api.create_repo("alice/lines", repo_type="dataset")
lines = b'{"a": 1, "b": {"c": [1.5]}}\\n{"a": 2, "b": null}\\n'
place = {"path_in_repo": "data/x.jsonl", "repo_id": "alice/lines", "repo_type": "dataset"}
api.upload_file(path_or_fileobj=io.BytesIO(lines), **place)
found["lines"] = load_dataset("alice/lines", split="train").to_dict()
print(json.dumps(found))
"""


def test_datasets_loads_streams_and_pushes(firm: Company, tmp_path: Path) -> None:
    found = ran(firm, tmp_path, LOADING)
    assert found["csv"][:2] == [250, {"id": 2, "text": "two", "score": 2.0}]
    assert found["stream"] == list(range(240, 250))
    assert (found["splits"], found["configs"], found["builder"]) == (["train", "test"], ["default"], "csv")
    assert found["pushed"] == [True, True]
    assert [row["label"] for row in found["pushed stream"]] == [0, 1, -1]
    assert found["both"] == [["large", "small"], ["train", "test"], 3, 1]
    assert found["lines"] == {"a": [1, 2], "b": [{"c": [1.5]}, None]}
    viewer = asker(firm)
    label = viewer("/info", dataset="alice/pushed", config="default")["dataset_info"]["features"]["label"]
    assert label == {"names": ["no", "yes"], "_type": "ClassLabel"}
    splits = viewer("/splits", dataset="alice/both")["splits"]
    assert [(split["config"], split["split"]) for split in splits] == [
        ("large", "train"),
        ("small", "train"),
        ("small", "test"),
    ]
    column = viewer("/statistics", dataset="alice/pushed", config="default", split="train")["statistics"][1]
    assert column["column_type"] == "class_label"
    assert column["column_statistics"]["frequencies"] == {"no": 1, "yes": 1}
    assert column["column_statistics"]["no_label_count"] == 1
    listed = viewer("/parquet", dataset="alice/both")["parquet_files"]
    assert [(it["config"], it["split"], it["filename"]) for it in listed if it["config"] == "large"] == [
        ("large", "train", "0000.parquet"),
        ("large", "train", "0001.parquet"),
    ]


class Asker:
    """Asks the viewer's routes with a tenant's key."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"authorization": f"Bearer {token}"}
        self.client = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60)

    def __call__(self, path: str, **query: Any) -> Any:
        answer = self.client.get(f"/datasets-server{path}", params=query)
        assert answer.status_code == 200, answer.text
        assert len(answer.headers["x-revision"]) == 40
        return answer.json()

    def status(self, path: str, **query: Any) -> tuple[int, str]:
        answer = self.client.get(path, params=query)
        return answer.status_code, answer.headers.get("x-error-code", "")


def asker(firm: Company, who: str = "alice") -> Asker:
    return Asker(firm.server.url, str(getattr(firm, who).token))


TRAINING = {"dataset": "alice/churn", "config": "default", "split": "train"}


def test_rows_are_windows(firm: Company) -> None:
    found = asker(firm)("/rows", **TRAINING, offset=248, length=10)
    assert found["features"][0] == {"feature_idx": 0, "name": "id", "type": {"dtype": "int64", "_type": "Value"}}
    assert found["rows"] == [
        {"row_idx": 248, "row": {"id": 248, "text": "row 248", "score": 124.0}, "truncated_cells": []},
        {"row_idx": 249, "row": {"id": 249, "text": "row 249", "score": 124.5}, "truncated_cells": []},
    ]
    assert (found["num_rows_total"], found["num_rows_per_page"], found["partial"]) == (250, 100, False)
    first = asker(firm)("/first-rows", **TRAINING)
    assert ([row["row_idx"] for row in first["rows"]], first["truncated"]) == (list(range(100)), True)


def test_statistics_that_can_be_checked_by_hand(firm: Company) -> None:
    """0 to 249: the mean is 124.5, ten bins of 25 each."""
    found = asker(firm)("/statistics", **TRAINING)
    assert found["num_examples"] == 250
    number, text, _ = found["statistics"]
    assert number["column_statistics"] == {
        "nan_count": 0,
        "nan_proportion": 0.0,
        "min": 0,
        "max": 249,
        "mean": 124.5,
        "median": 124.5,
        "std": 72.31298,
        "histogram": {"hist": [25] * 10, "bin_edges": [*range(0, 250, 25), 249]},
    }
    assert (text["column_type"], text["column_statistics"]["max"]) == ("string_text", len("row 249"))
    score = asker(firm)("/statistics", **TRAINING | {"split": "test"})["statistics"][2]["column_statistics"]
    assert (score["nan_count"], score["nan_proportion"], score["mean"], score["std"]) == (1, 0.5, 2.0, None)


def test_search_and_filter(firm: Company) -> None:
    viewer = asker(firm)
    found = viewer("/filter", **TRAINING, where="\"score\" > 100 AND text LIKE '%9'", orderby='"id" DESC', length=2)
    assert ([row["row_idx"] for row in found["rows"]], found["num_rows_total"]) == ([249, 239], 5)
    assert [row["row_idx"] for row in viewer("/search", **TRAINING, query="249")["rows"]] == [249]
    for where in ("id = (SELECT 1)", "read_text('/etc/passwd') = ''", "1; DROP TABLE data", ""):
        assert viewer.status("/datasets-server/filter", **TRAINING, where=where)[0] == 400


def test_what_a_dataset_is(firm: Company) -> None:
    viewer = asker(firm)
    assert set(viewer("/is-valid", dataset="alice/churn").values()) == {True}
    size = viewer("/size", dataset="alice/churn")["size"]
    assert (size["dataset"]["num_rows"], size["configs"][0]["num_columns"]) == (252, 3)
    assert [split["num_rows"] for split in size["splits"]] == [250, 2]
    info = viewer("/info", dataset="alice/churn")["dataset_info"]["default"]
    assert info["splits"]["test"]["num_examples"] == 2
    assert info["download_size"] == size["dataset"]["num_bytes_original_files"]


def test_parquet_files_are_real(firm: Company) -> None:
    """Listed twice, sent whole, in parts, and by head; pyarrow reads what came."""
    import pyarrow.parquet as pq

    viewer = asker(firm)
    listed = viewer("/parquet", dataset="alice/churn")["parquet_files"][0]
    lists = viewer.client.get("/api/datasets/alice/churn/parquet").json()
    assert lists["default"]["train"] == [listed["url"]]
    assert viewer.client.get("/api/datasets/alice/churn/parquet/default/train").json() == [listed["url"]]
    whole = viewer.client.get(listed["url"])
    assert (whole.status_code, len(whole.content)) == (200, listed["size"])
    assert pq.read_table(io.BytesIO(whole.content)).column("id").to_pylist() == list(range(250))
    tail = viewer.client.get(listed["url"], headers={"range": "bytes=-4"})
    assert (tail.status_code, tail.content) == (206, b"PAR1")
    assert viewer.client.get(listed["url"], headers={"range": "bytes=99999999-"}).status_code == 416
    head = viewer.client.head(listed["url"])
    assert (int(head.headers["content-length"]), head.content) == (listed["size"], b"")
    assert viewer.client.get(listed["url"], headers={"if-none-match": head.headers["etag"]}).status_code == 304


def test_the_viewer_answers_at_a_host_of_its_own(firm: Company) -> None:
    """As `datasets` makes its address out of HF_ENDPOINT: http://datasets-server.HOST/info?dataset=..."""
    host = {"host": "datasets-server.localhost"}
    found = asker(firm).client.get("/info", params={"dataset": "alice/churn"}, headers=host)
    assert found.json()["dataset_info"]["default"]["config_name"] == "default"
    assert asker(firm).client.get("/info", params={"dataset": "alice/churn"}).status_code == 404


QUESTIONS = [
    *(f"/datasets-server/{name}" for name in ("is-valid", "splits", "info", "size", "parquet")),
    *(f"/datasets-server/{name}" for name in ("first-rows", "rows", "search", "filter", "statistics")),
]
PATHS = [
    *(f"/api/craton/v1/datasets/{{}}/{name}" for name in ("splits", "schema", "first-rows", "rows", "statistics")),
    *(f"/api/datasets/{{}}/parquet{rest}" for rest in ("", "/default", "/default/train", "/default/train/0.parquet")),
]


@pytest.mark.parametrize("path", [*QUESTIONS, *PATHS])
def test_what_is_foreign_looks_absent(firm: Company, path: str) -> None:
    """Private for everybody but its tenant; once shared, for all; gated: only whom the owner lets in."""
    bob = asker(firm, "bob")

    def status(name: str) -> tuple[int, str]:
        more = {"config": "default", "split": "train", "query": "row", "where": "id = 1"}
        return bob.status(path.format(name), **{"dataset": name} | more if path in QUESTIONS else {})

    absent = status("alice/nothing")
    assert absent[0] == 404
    assert status("alice/churn") == absent
    try:
        firm.alice.update_repo_settings("alice/churn", repo_type="dataset", private=False)
        assert status("alice/churn")[0] == 200
        firm.alice.update_repo_settings("alice/churn", repo_type="dataset", gated="manual")
        assert status("alice/churn")[0] == 403
    finally:
        firm.alice.update_repo_settings("alice/churn", repo_type="dataset", private=True, gated=False)


def test_what_cannot_be_shown_is_said(firm: Company) -> None:
    viewer, repo = asker(firm), {"repo_type": "dataset", "repo_id": "alice/odd"}
    firm.alice.create_repo(**repo)
    firm.alice.upload_file(path_or_fileobj=b"a,b\n1\n", path_in_repo="broken.csv", **repo)
    place = {"dataset": "alice/odd", "config": "default", "split": "train"}
    answer = viewer.client.get("/datasets-server/rows", params=place)
    assert answer.status_code >= 400
    assert "does not fit" in answer.json()["error"]
    assert viewer.status("/datasets-server/rows", **place | {"split": "none"})[0] == 404
    assert viewer.status("/datasets-server/rows", **place | {"revision": "none"}) == (404, "RevisionNotFound")
    assert viewer.status("/datasets-server/rows", **place | {"length": 101})[0] == 400
    assert viewer.status("/datasets-server/rows", **place | {"offset": "-1"})[0] == 400
    assert viewer.status("/datasets-server/rows", dataset="alice/odd")[0] == 400
    firm.alice.upload_file(path_or_fileobj=b"x", path_in_repo="picture.png", **repo)
    firm.alice.delete_file("broken.csv", **repo)
    assert viewer("/is-valid", dataset="alice/odd")["viewer"] is False
    assert viewer.status("/datasets-server/rows", **place)[0] == 400
