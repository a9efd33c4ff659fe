"""Files that are broken or not understood are refused before anything is built; loading leaves no trace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from craton.core.errors import Damaged, InvalidRequest, Unsupported
from craton.engines.bert import BertEngine

NAME = "encoder.layer.1.output.dense.weight"


def broken(weights: dict[str, Any], how: str) -> dict[str, Any]:
    value = weights[NAME]
    changed = {
        "missing": None,
        "transposed": np.ascontiguousarray(value.T),
        "not finite": np.where(value == value.max(), np.float32("nan"), value),
    }[how]
    return {
        name: item if name != NAME else changed for name, item in weights.items() if name != NAME or how != "missing"
    }


@pytest.mark.parametrize("how", ["missing", "transposed", "not finite"])
def test_broken_weights_are_damaged(tiny: Any, how: str) -> None:
    tiny.save(broken(tiny.weights, how))
    with pytest.raises(Damaged) as caught:
        BertEngine.load(tiny.spec())
    assert NAME in str(caught.value)


def test_truncated_weights_are_damaged(tiny: Any) -> None:
    path = tiny.folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Damaged):
        BertEngine.load(tiny.spec())


def test_integer_weights_are_not_supported(tiny: Any) -> None:
    tiny.save({**tiny.weights, NAME: tiny.weights[NAME].astype(np.int32)})
    with pytest.raises(Unsupported, match="I32"):
        BertEngine.load(tiny.spec())


def test_half_precision_weights_are_read(tiny: Any) -> None:
    tiny.save({name: value.astype(np.float16) for name, value in tiny.weights.items()})
    assert BertEngine.load(tiny.spec()).capabilities.verbs == ("embed",)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "longformer"}, "longformer"),
        ({"hidden_act": "silu"}, "silu"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
        ({"is_decoder": True}, "decoder"),
    ],
)
def test_other_architectures_are_refused_by_name(tiny: Any, change: dict[str, Any], named: str) -> None:
    tiny.write("config.json", {**CONFIG, **change})
    with pytest.raises(Unsupported, match=named):
        BertEngine.load(tiny.spec())


CONFIG = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 13,
    "max_position_embeddings": 24,
}


@pytest.mark.parametrize(
    "change", [{"num_attention_heads": 5}, {"hidden_size": -1}, {"vocab_size": 5}, {"hidden_size": "x"}]
)
def test_configurations_without_sense_are_damaged(tiny: Any, change: dict[str, Any]) -> None:
    tiny.write("config.json", {**CONFIG, **change})
    with pytest.raises(Damaged):
        BertEngine.load(tiny.spec())


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "max_tokens"),
        ("1_Pooling/config.json", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "cls"),
        ("modules.json", [{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}], "Dense"),
        ("config_sentence_transformers.json", {"default_prompt_name": "query"}, "prompt"),
    ],
)
def test_steps_that_cannot_be_computed_are_refused(tiny: Any, name: str, value: Any, named: str) -> None:
    tiny.write(name, value)
    with pytest.raises(Unsupported, match=named):
        BertEngine.load(tiny.spec())


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_files_that_are_no_json_are_damaged(tiny: Any, name: str) -> None:
    (tiny.folder / name).write_text("{")
    with pytest.raises(Damaged):
        BertEngine.load(tiny.spec())


@pytest.mark.parametrize("options", [{"threads": 0}, {"streams": "many"}, {"precision": "int8"}, {"thread": 1}])
def test_unknown_options_are_refused(tiny: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        BertEngine.load(tiny.spec(**options))


WATCHED = """
import os, sys
sys.path.insert(0, sys.argv[1])
def watch(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__":
        print("TOUCHED", event, arguments)
sys.addaudithook(watch)
from craton.core.model import ModelInfo
from craton.engines.bert import BertEngine
from craton.engines.protocol import EngineSpec
names = ("config.json", "tokenizer.json", "model.safetensors")
files = {name: os.path.join(sys.argv[2], name) for name in names}
BertEngine.load(EngineSpec("bert", "m", ModelInfo(id="m", verbs=("embed",), engine="bert"), files, {"threads": 1}))
paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
print("sockets", [path for path in paths if os.path.exists(path) and os.readlink(path).startswith("socket:")])
print("LOADED")
"""


def test_loading_writes_nothing_at_home_and_connects_nowhere(
    tiny: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    source = next(path for path in map(Path, sys.path) if (path / "craton" / "core").is_dir())
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(home / "cache")}
    child = subprocess.run(
        [sys.executable, "-c", WATCHED, str(source), str(tiny.folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert child.stdout.endswith("LOADED\n"), child.stderr
    assert "TOUCHED" not in child.stdout
    assert "sockets []" in child.stdout
    assert list(home.rglob("*")) == []
