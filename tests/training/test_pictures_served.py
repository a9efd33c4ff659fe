"""Pictures all the way: a folder becomes a dataset, a network learns from it, the server is asked with files."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")
pytest.importorskip("PIL")

import numpy as np
import pyarrow.parquet as pq
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from craton.core.errors import InvalidRequest, TooLarge
from craton.data import pictures
from craton.data.pictures import write_parquet
from tests.cli.conftest import Craton, inside
from tests.servers import RunningServer

NAMES = ("none", "one", "two")
SPEC = {
    "method": "deep",
    "data": {"ref": "acme/written", "target": "label"},
    "model": {"use": "cnn", "params": {"channels": [8]}},
    "train": {"epochs": 4, "learning_rate": 0.01, "patience": None},
    "eval": {"report": False, "gate": "accuracy >= 0.9"},
    "output": {"model": "acme/reader"},
}


def file(pixels: Any, form: str = "PNG") -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, form)
    return target.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three handwritten digits, a quarter of each set apart to test."""
    found, root = load_digits(), tmp_path_factory.mktemp("written")
    for place in np.flatnonzero(found.target < len(NAMES)):
        target = root / ("test" if place % 4 == 0 else "train") / NAMES[found.target[place]]
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{place}.png").write_bytes(file((found.images[place] * 15.9).astype(np.uint8)))
    (root / "notes.txt").write_text("no picture")
    return root


@pytest.fixture(scope="module")
def run(server: RunningServer) -> Craton:
    return inside(server.environment)


@pytest.mark.slow
def test_a_folder_of_pictures_becomes_a_model_that_is_asked_with_files(
    run: Craton, server: RunningServer, folder: Path, tmp_path: Path
) -> None:
    added = json.loads(run("datasets", "add", "acme/written", str(folder), "--json").stdout)
    assert [(one["path"], one["features"]["image"]["_type"]) for one in added] == [
        ("train.parquet", "Image"),
        ("test.parquet", "Image"),
    ]
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    job = json.loads(run("train", str(tmp_path / "spec.yaml"), "--json").stdout)
    assert job["status"] == "succeeded", job["error"]
    some = sorted((folder / "test" / "two").iterdir())[:3]
    larger = Image.open(some[0]).resize((40, 40))
    target = io.BytesIO()
    larger.convert("RGB").save(target, "JPEG")
    contents = [path.read_bytes() for path in some] + [target.getvalue()]
    rows = [{"image": base64.b64encode(content).decode()} for content in contents]
    with server.client() as client:
        answer = client.post("/v1/models/acme/reader/predict", json={"rows": rows})
        assert answer.status_code == 200, answer.text
        said = answer.json()
        files = {"name": "image", "shape": [4], "datatype": "BYTES", "data": [row["image"] for row in rows]}
        tensors = client.post("/v2/models/acme/reader/infer", json={"inputs": [files]}).json()
        wrong = client.post("/v1/models/acme/reader/predict", json={"rows": [rows[0], {"image": "bm8gcGljdHVyZQ=="}]})
        signature = json.loads(client.get("/acme/reader/resolve/main/signature.json", follow_redirects=True).content)
    assert said["outputs"]["prediction"].count("two") >= 3
    assert tensors["outputs"][0]["data"] == said["outputs"]["prediction"]
    assert wrong.status_code == 400
    assert "row 1, column 'image': it is no picture" in wrong.text
    assert signature["inputs"]["properties"]["image"]["anyOf"][0]["contentEncoding"] == "base64"


def test_a_zip_of_a_folder_is_the_folder(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "written.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, f"written/{path.relative_to(folder)}")
    parts = []
    for name, source in (("folder", folder), ("zip", tmp_path / "written.zip")):
        (tmp_path / name).mkdir()
        parts.append([pq.read_table(path) for path in write_parquet(source, tmp_path / name)])
    assert parts[0] == parts[1]
    assert [len(part) for part in parts[0]] == [len([*(folder / name).rglob("*.png")]) for name in ("train", "test")]


def test_what_is_no_folder_of_pictures_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "a" / "b").mkdir(parents=True)
    target.mkdir()
    with pytest.raises(InvalidRequest, match="no pictures"):
        write_parquet(source, target)
    for place in ("x.png", "a/b/x.png"):
        (source / place).write_bytes(b"?")
        with pytest.raises(InvalidRequest, match="lies in no folder of a label"):
            write_parquet(source, target)
        (source / place).unlink()
    (tmp_path / "no.zip").write_bytes(b"no")
    with pytest.raises(InvalidRequest, match="no zip archive"):
        write_parquet(tmp_path / "no.zip", target)
    monkeypatch.setattr(pictures, "MAX_BYTES", 3)
    (source / "a" / "x.png").write_bytes(b"1234")
    with pytest.raises(TooLarge, match=r"a/x\.png"):
        write_parquet(source, target)
