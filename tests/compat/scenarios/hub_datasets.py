"""datasets: rows to the hub and back, whole and streamed, splits, configurations, revisions, files as they are."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import Any

from checks import equal, holds, raises, run
from datasets import (
    Dataset,
    DatasetDict,
    get_dataset_config_names,
    get_dataset_split_names,
    load_dataset,
    load_dataset_builder,
)
from huggingface_hub import HfApi

api: Any = HfApi()
work = tempfile.TemporaryDirectory()
folder = Path(work.name)
ROWS = 3000


def new_name() -> str:
    return f"compat/rows-{uuid.uuid4().hex[:12]}"


def rows(count: int = ROWS) -> Any:
    return Dataset.from_dict({"id": list(range(count)), "text": [f"row {number} " * 50 for number in range(count)]})


def load(name: str, *arguments: Any, **options: Any) -> Any:
    return load_dataset(name, *arguments, cache_dir=str(folder / uuid.uuid4().hex), **options)


def rows_and_back() -> None:
    data, name = rows(), new_name()
    data.push_to_hub(name, private=True)
    found = load(name, split="train")
    equal((found.num_rows, found.features), (ROWS, data.features))
    equal(found[:] == data[:], True)


def splits_in_several_shards() -> None:
    name = new_name()
    data = DatasetDict({"train": rows(), "test": rows(10)})
    data.push_to_hub(name, num_shards={"train": 3, "test": 1})
    equal(len([path for path in api.list_repo_files(name, repo_type="dataset") if "train-" in path]), 3)
    found = load(name)
    equal({split: part.num_rows for split, part in found.items()}, {"train": ROWS, "test": 10})
    equal(get_dataset_split_names(name), ["train", "test"])
    equal(load(name, split="train[10:12]")["id"][:], [10, 11])


def streamed() -> None:
    name = new_name()
    rows().push_to_hub(name, num_shards=2)
    stream = load(name, split="train", streaming=True)
    equal([row["id"] for row in stream.take(3)], [0, 1, 2])
    equal([row["id"] for row in stream.skip(ROWS - 1)], [ROWS - 1])
    equal(sum(1 for _ in stream), ROWS)


def configurations() -> None:
    name = new_name()
    rows(3).push_to_hub(name, "small")
    rows(30).push_to_hub(name, "larger")
    equal(sorted(get_dataset_config_names(name)), ["larger", "small"])
    equal(load(name, "larger", split="train").num_rows, 30)
    equal(load_dataset_builder(name, "small").info.splits["train"].num_examples, 3)


def a_revision_is_pinned() -> None:
    name = new_name()
    rows(3).push_to_hub(name)
    before = api.dataset_info(name).sha
    api.create_tag(name, tag="v1", repo_type="dataset")
    rows(5).push_to_hub(name)
    counts = [load(name, split="train", revision=revision).num_rows for revision in (before, "v1", "main")]
    equal(counts, [3, 3, 5])


def rows_as_a_proposal() -> None:
    name = new_name()
    rows(3).push_to_hub(name)
    rows(5).push_to_hub(name, create_pr=True)
    equal(load(name, split="train").num_rows, 3)
    equal(load(name, split="train", revision="refs/pr/1").num_rows, 5)


def files_as_they_are() -> None:
    name = new_name()
    api.create_repo(name, repo_type="dataset")
    source = folder / uuid.uuid4().hex
    (source / "data").mkdir(parents=True)
    (source / "data" / "train.csv").write_text("x,y\n1,a\n2,b\n")
    (source / "data" / "test.csv").write_text("x,y\n3,c\n")
    (source / "more.jsonl").write_text('{"x": 9}\n')
    api.upload_folder(repo_id=name, repo_type="dataset", folder_path=source)
    equal(load(name, data_dir="data", split="test")[0], {"x": 3, "y": "c"})
    equal(load(name, data_files="more.jsonl", split="train")[0], {"x": 9})
    csv = load_dataset("csv", data_files=f"hf://datasets/{name}/data/*.csv", cache_dir=str(folder / uuid.uuid4().hex))
    equal(csv["train"].num_rows, 3)


def parquet_read_and_written_by_address() -> None:
    name = new_name()
    api.create_repo(name, repo_type="dataset")
    data = rows(20)
    data.to_parquet(f"hf://datasets/{name}/part.parquet")
    found = Dataset.from_parquet(f"hf://datasets/{name}/part.parquet", cache_dir=str(folder / uuid.uuid4().hex))
    equal(found[:] == data[:], True)


def the_card_says_what_is_in_it() -> None:
    name = new_name()
    rows(7).push_to_hub(name)
    holds(api.dataset_info(name).card_data["dataset_info"]["splits"][0]["num_examples"] == 7, "it does not")


def what_is_not_there_is_said() -> None:
    with raises(Exception, says="compat/nothing-here"):
        load("compat/nothing-here")
    name = new_name()
    rows(3).push_to_hub(name)
    with raises(ValueError, says="Unknown split"):
        load(name, split="validation")


run(
    [
        rows_and_back,
        splits_in_several_shards,
        streamed,
        configurations,
        a_revision_is_pinned,
        rows_as_a_proposal,
        files_as_they_are,
        parquet_read_and_written_by_address,
        the_card_says_what_is_in_it,
        what_is_not_there_is_said,
    ]
)
