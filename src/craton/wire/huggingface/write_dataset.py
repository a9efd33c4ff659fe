"""What was seen of a dataset, in the shapes of the Hub's viewer (its OpenAPI document, datasets-server)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from craton.data.viewing.taking import Taken
from craton.data.viewing.values import ColumnStatistics, Feature, Frequencies, Numbers, Page, Row, Statistics
from craton.data.viewing.viewer import Opened

DECIMALS = 5


class Named(Struct, frozen=True):
    """What the question names; "" for what it does not."""

    dataset: str
    config: str
    split: str


def write_rows(page: Page, per_page: int) -> dict[str, Any]:
    return {
        "features": _features(page.features),
        "rows": [_row(row) for row in page.rows],
        "num_rows_total": page.total,
        "num_rows_per_page": per_page,
        "partial": page.partial,
    }


def write_first_rows(named: Named, page: Page) -> dict[str, Any]:
    return {
        "dataset": named.dataset,
        "config": named.config,
        "split": named.split,
        "features": _features(page.features),
        "rows": [_row(row) for row in page.rows],
        "truncated": page.total is None or page.total > len(page.rows),
    }


def _features(features: dict[str, Feature]) -> list[dict[str, Any]]:
    return [{"feature_idx": index, "name": name, "type": kind} for index, (name, kind) in enumerate(features.items())]


def _row(row: Row) -> dict[str, Any]:
    return {"row_idx": row.index, "row": msgspec.Raw(row.cells), "truncated_cells": row.truncated}


def write_statistics(statistics: Statistics) -> dict[str, Any]:
    return {
        "num_examples": statistics.rows,
        "statistics": [
            {
                "column_name": column.name,
                "column_type": column.kind,
                "column_statistics": _column(column, statistics.rows),
            }
            for column in statistics.columns
        ],
        "partial": statistics.partial,
    }


def _column(column: ColumnStatistics, rows: int) -> dict[str, Any]:
    values = column.values
    missing = {"nan_count": values.missing, "nan_proportion": _share(values.missing, rows)}
    if isinstance(values, Numbers):
        return {**missing, **_numbers(values)}
    if column.kind == "bool":
        return {**missing, "frequencies": values.counts}
    return {**missing, **_frequencies(values, rows)}


def _numbers(values: Numbers) -> dict[str, Any]:
    histogram = values.histogram
    return {
        "min": values.min,
        "max": values.max,
        "mean": values.mean,
        "median": values.median,
        "std": values.std,
        "histogram": None if histogram is None else {"hist": histogram.counts, "bin_edges": histogram.edges},
    }


def _frequencies(values: Frequencies, rows: int) -> dict[str, Any]:
    return {
        "no_label_count": values.unlabelled,
        "no_label_proportion": _share(values.unlabelled, rows),
        "n_unique": len(values.counts),
        "frequencies": values.counts,
    }


def _share(count: int, rows: int) -> float:
    return round(count / rows, DECIMALS) if rows else 0.0


def write_infos(named: Named, taken: Taken) -> dict[str, Any]:
    infos = {config: _info(named, splits) for config, splits in _by_config(taken).items()}
    partial = {"partial": any(split.partial for split in taken.opened)}
    if named.config and named.config in infos:
        return {"dataset_info": infos[named.config], **partial}
    return {"dataset_info": infos, **_rest(named, taken, "config-info"), **partial}


def _info(named: Named, splits: list[Opened]) -> dict[str, Any]:
    name = named.dataset.rpartition("/")[2]
    size = sum(split.memory for split in splits)
    return {
        "description": "",
        "citation": "",
        "homepage": "",
        "license": "",
        "features": splits[0].features,
        "builder_name": "parquet",
        "dataset_name": name,
        "config_name": splits[0].config.name,
        "version": {"version_str": "0.0.0", "major": 0, "minor": 0, "patch": 0},
        "splits": {
            split.split.name: {
                "name": split.split.name,
                "num_bytes": split.memory,
                "num_examples": split.rows,
                "dataset_name": name,
            }
            for split in splits
        },
        "download_size": sum(file.size for split in splits for file in split.split.files),
        "dataset_size": size,
    }


def write_sizes(named: Named, taken: Taken) -> dict[str, Any]:
    configs, splits = [], []
    for config, opened in _by_config(taken).items():
        where = {"dataset": named.dataset, "config": config}
        original = sum(file.size for split in opened for file in split.split.files)
        width = len(opened[0].features)
        configs.append({**where, "num_bytes_original_files": original, **_sums(opened), "num_columns": width})
        splits += [
            {**where, "split": split.split.name, **_sums([split]), "num_columns": len(split.features)}
            for split in opened
        ]
    for size in (*configs, *splits):
        size["estimated_num_rows"] = None
    partial = {"partial": any(split.partial for split in taken.opened)}
    if named.config and configs:
        return {"size": {"config": configs[0], "splits": splits}, **partial}
    whole = {
        "dataset": named.dataset,
        "num_bytes_original_files": sum(size["num_bytes_original_files"] for size in configs),
        **_sums(list(taken.opened)),
        "estimated_num_rows": None,
    }
    sizes = {"dataset": whole, "configs": configs, "splits": splits}
    return {"size": sizes, **_rest(named, taken, "config-size"), **partial}


def _sums(splits: list[Opened]) -> dict[str, Any]:
    return {
        "num_bytes_parquet_files": sum(split.size for split in splits),
        "num_bytes_memory": sum(split.memory for split in splits),
        "num_rows": sum(split.rows for split in splits),
    }


def write_parquet(named: Named, taken: Taken, base: str) -> dict[str, Any]:
    files = [
        {
            "dataset": named.dataset,
            "config": split.config.name,
            "split": split.split.name,
            "url": parquet_url(base, named.dataset, split, number),
            "filename": f"{number:04}.parquet",
            "size": file.described.size,
        }
        for split in taken.opened
        for number, file in enumerate(split.files)
    ]
    body: dict[str, Any] = {
        "parquet_files": files,
        **_rest(named, taken, "config-parquet"),
        "partial": any(split.partial for split in taken.opened),
    }
    if named.config and taken.opened:
        body["features"] = taken.opened[0].features
    return body


def parquet_url(base: str, dataset: str, split: Opened, number: int) -> str:
    config, name = quote(split.config.name, safe=""), quote(split.split.name, safe="")
    return f"{base}/api/datasets/{dataset}/parquet/{config}/{name}/{number}.parquet"


def _by_config(taken: Taken) -> dict[str, list[Opened]]:
    found: dict[str, list[Opened]] = defaultdict(list)
    for split in taken.opened:
        found[split.config.name].append(split)
    return found


def _rest(named: Named, taken: Taken, kind: str) -> dict[str, Any]:
    def where(config: str, split: str) -> dict[str, Any]:
        return {"kind": kind, "dataset": named.dataset, "config": config, "split": split}

    return {
        "pending": [where(config, split) for config, split in taken.pending],
        "failed": [
            {**where(failure.config, failure.split), "error": {"error": str(failure.error)}} for failure in taken.failed
        ],
    }
