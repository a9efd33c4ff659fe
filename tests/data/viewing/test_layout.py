"""Which configurations and splits there are, by the rules of the `datasets` library."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from craton.core.errors import InvalidRequest, Unsupported
from craton.core.repo import TreeEntry
from craton.data.viewing.declared import declared_features
from craton.data.viewing.globs import Glob
from craton.data.viewing.layout import find_configs


def found(paths: list[str], card: str = "") -> dict[str, dict[str, list[str]]]:
    tree = [TreeEntry(path, "0" * 64, 10, "0" * 40) for path in paths]
    configs = find_configs(tree, yaml.safe_load(card) or {})
    return {
        config.name: {split.name: [file.path for file in split.files] for split in config.splits} for config in configs
    }


@pytest.mark.parametrize(
    ("paths", "splits"),
    [
        (["README.md", ".gitattributes", "data.csv"], {"train": ["data.csv"]}),
        (["train.csv", "test.csv"], {"train": ["train.csv"], "test": ["test.csv"]}),
        (["a/dev.jsonl", "a/my-train.jsonl"], {"train": ["a/my-train.jsonl"], "validation": ["a/dev.jsonl"]}),
        (["train/x.csv", "val/y.csv", "other.csv"], {"train": ["train/x.csv"], "validation": ["val/y.csv"]}),
        (["training_data.txt"], {"train": ["training_data.txt"]}),
        (["restrained.csv"], {"train": ["restrained.csv"]}),
        (
            ["data/odd-00000-of-00002.parquet", "data/odd-00001-of-00002.parquet", "data/test-00000-of-00001.parquet"],
            {
                "test": ["data/test-00000-of-00001.parquet"],
                "odd": ["data/odd-00000-of-00002.parquet", "data/odd-00001-of-00002.parquet"],
            },
        ),
        (["train.csv.gz", "notes.pdf"], {"train": ["train.csv.gz"]}),
        (["a.parquet", "b.csv"], {"train": ["a.parquet"]}),
        (["a.parquet", "b.csv", "c.csv"], {"train": ["b.csv", "c.csv"]}),
        ([".hidden/a.csv", "__pycache__/b.csv", "c.csv"], {"train": ["c.csv"]}),
    ],
)
def test_names_of_files_say_the_splits(paths: list[str], splits: dict[str, list[str]]) -> None:
    assert found(paths) == {"default": splits}


def test_a_card_says_configurations() -> None:
    card = """
configs:
- config_name: en
  data_files:
  - split: train
    path: en/*.jsonl
  - split: test
    path: ["en/extra/t?st.jsonl"]
- config_name: de
  data_dir: de
- config_name: all
  data_files: "**/[ab].jsonl"
"""
    paths = ["en/a.jsonl", "en/b.jsonl", "en/extra/test.jsonl", "de/train.jsonl", "de/test.jsonl"]
    assert found(paths, card) == {
        "en": {"train": ["en/a.jsonl", "en/b.jsonl"], "test": ["en/extra/test.jsonl"]},
        "de": {"train": ["de/train.jsonl"], "test": ["de/test.jsonl"]},
        "all": {"train": ["en/a.jsonl", "en/b.jsonl"]},
    }


@pytest.mark.parametrize(
    "configs",
    [
        "configs: 3",
        "configs: [{data_files: a.csv}]",
        "configs: [{config_name: a, data_files: [{split: 'a/b', path: x}]}]",
        "configs: [{config_name: a, data_files: 7}]",
    ],
)
def test_nonsense_in_a_card_is_said(configs: str) -> None:
    with pytest.raises(InvalidRequest):
        found(["a.csv"], configs)


@pytest.mark.parametrize(
    ("paths", "card", "words"),
    [
        ([], "", "no data files"),
        (["a.png", "b.png"], "", "single images"),
        (["a.csv"], "configs: [{config_name: a, data_files: a.csv, decimal: ','}]", "'decimal'"),
        (["a.csv"], "configs: [{config_name: a, data_files: a.csv, sep: '||'}]", "separator"),
    ],
)
def test_what_cannot_be_shown_is_refused(paths: list[str], card: str, words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        found(paths, card)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "b/a.csv", False),
        ("**/*.csv", "a.csv", True),
        ("**/*.csv", "b/c/a.csv", True),
        ("b/**", "b/c/d", True),
        ("b/**/d", "b/d", True),
        ("[!a]?.txt", "bc.txt", True),
        ("[!a]?.txt", "ac.txt", False),
        ("x[0-9][0-9].txt", "x42.txt", True),
        ("[-._ 0-9]x", "-x", True),
        ("a[", "a[", True),
        ("*", ".env", False),
        (".*", ".env", True),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    assert Glob(pattern).matches(path) is matches


def test_a_hostile_pattern_takes_no_time() -> None:
    assert not Glob("*a" * 400 + "b").matches("a" * 1000)
    assert not Glob("**/a/" * 180 + "b").matches("/".join("a" * 500))


FEATURES: list[dict[str, Any]] = [
    {"text": {"dtype": "string", "_type": "Value"}},
    {
        "label": {"names": ["no", "yes"], "_type": "ClassLabel"},
        "at": {"dtype": "timestamp[us, tz=UTC]", "_type": "Value"},
    },
    {"tokens": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}},
    {"point": {"x": {"dtype": "float32", "_type": "Value"}, "y": {"dtype": "float32", "_type": "Value"}}},
    {"boxes": {"feature": {"a": {"dtype": "int8", "_type": "Value"}}, "_type": "List"}},
    {"pair": {"feature": {"dtype": "int64", "_type": "Value"}, "length": 2, "_type": "List"}},
    {"picture": {"_type": "Image"}, "sound": {"sampling_rate": 16000, "_type": "Audio"}},
    {"deep": {"feature": {"feature": {"dtype": "bool", "_type": "Value"}, "_type": "List"}, "_type": "LargeList"}},
]


@pytest.mark.parametrize("features", FEATURES)
def test_features_in_a_card_are_read_as_datasets_writes_them(features: dict[str, Any]) -> None:
    datasets = pytest.importorskip("datasets")
    listed = datasets.Features.from_dict(features)._to_yaml_list()
    card = yaml.safe_load(yaml.safe_dump({"dataset_info": {"features": listed}}))
    read = declared_features(card, {"config_name": "default"})
    assert datasets.Features.from_dict(read) == datasets.Features.from_dict(features)
