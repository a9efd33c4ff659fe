"""skops files: what Craton saved comes back, and nothing else is ever built."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("skops")

from sklearn.datasets import load_iris
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from craton.core.errors import Damaged
from craton.engines.predictor.trusted import check_skops, load_skops, save_skops


def node(loader: str, module: str, name: str, content: Any = None, **more: Any) -> dict[str, Any]:
    return {"__loader__": loader, "__module__": module, "__class__": name, "content": content, **more}


def packed(path: Path, schema: Any, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", schema if isinstance(schema, str) else json.dumps(schema))
        for name, content in files.items():
            archive.writestr(name, content)
    return path


HOSTILE = {
    "a function": node("FunctionNode", "os", "system", {"module_path": "os", "function": "system"}),
    "a method": node("MethodNode", "sklearn.pipeline", "Pipeline", {"obj": None, "func": "fit"}),
    "a partial": node("PartialNode", "functools", "partial", {}),
    "a reduce": node("ConstructorFromReduceNode", "builtins", "eval", {}),
    "an operator": node("OperatorFuncNode", "operator", "methodcaller", {}),
    "a class of its own": node("ObjectNode", "subprocess", "Popen", {}),
    "a type": node("TypeNode", "os", "system"),
    "one deep inside": node("DictNode", "builtins", "dict", {"a": [node("FunctionNode", "os", "system")]}),
    "a node without a loader": {"__module__": "os", "__class__": "system"},
    "one beside the content": node("ListNode", "builtins", "list", [], key_types=node("TypeNode", "os", "system")),
    "what skops itself would trust": node("ObjectNode", "sklearn.preprocessing._function_transformer", "X", {}),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_file_that_names_anything_else_is_refused_before_skops_sees_it(
    tmp_path: Path, hostile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    monkeypatch.setattr(os, "system", called.append)
    with pytest.raises(Damaged, match="does not load"):
        load_skops(packed(tmp_path / "model.skops", hostile))
    assert called == []


def test_a_transformer_with_a_function_is_not_even_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        save_skops(FunctionTransformer(os.getcwd), tmp_path / "model.skops")


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"\x80\x04.", b"x" * 1000], ids=["empty", "half a head", "pickle", "noise"]
)
def test_what_is_no_skops_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.skops").write_bytes(content)
    with pytest.raises(Damaged):
        load_skops(tmp_path / "model.skops")


def test_deep_and_large_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Damaged):
        check_skops(packed(tmp_path / "deep.skops", "[" * 100_000))
    with pytest.raises(Damaged, match="too large"):
        check_skops(packed(tmp_path / "large.skops", {}, bomb=bytes(100 << 20)))


def test_crafted_states_are_refused_and_not_raised_through(tmp_path: Path) -> None:
    broken = node("ObjectNode", "sklearn.tree._tree", "Tree", {"nope": 1}, __id__=1)
    with pytest.raises(Damaged, match="cannot be read"):
        load_skops(packed(tmp_path / "model.skops", broken | {"protocol": 2}))
    scaler = StandardScaler().fit(load_iris().data)
    save_skops(scaler, tmp_path / "good.skops")
    content = (tmp_path / "good.skops").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        arrays = [name for name in archive.namelist() if name.endswith(".npy")]
        schema = archive.read("schema.json").decode()
    pickled = (
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(128) + b"cos\nsystem\n."
    )
    path = packed(tmp_path / "array.skops", schema, **dict.fromkeys(arrays, pickled))
    with pytest.raises(Damaged, match="cannot be read"):
        load_skops(path)


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    rows = load_iris().data
    save_skops(StandardScaler().fit(rows), tmp_path / "model.skops")
    assert (load_skops(tmp_path / "model.skops").transform(rows) == StandardScaler().fit(rows).transform(rows)).all()
