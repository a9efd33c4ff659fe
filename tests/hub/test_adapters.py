"""Repositories that hold adapters, described from their files' headers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from craton.core.errors import Damaged
from craton.core.model import ModelInfo
from craton.core.repo import Add, RepoId
from craton.hub.importing import Importer
from craton.hub.local import import_path
from craton.hub.models import Models
from craton.hub.repositories import Hub
from tests.engines.llama_cpp.tiny_llama import PROJECTIONS, Lora

REPO = RepoId("model", "acme", "tuned")


def imported(hub: Hub, folder: Path) -> ModelInfo:
    return import_path(Importer(Models(hub), "t"), folder, REPO).info


def test_an_adapter_is_a_model_that_names_its_base(local_hub: Hub, tmp_path: Path) -> None:
    lora = Lora(rank=3, alpha=12, base_model_name_or_path="acme/tiny", revision="v2")
    lora.save(tmp_path / "adapter")
    info = imported(local_hub, tmp_path / "adapter")
    assert (info.verbs, info.engine, info.format, info.base) == (("chat",), "llama_cpp", "lora", "acme/tiny@v2")
    assert info.parameters == sum(values.size for values in lora.tensors.values())
    assert info.details is not None
    assert (info.details["rank"], info.details["alpha"]) == (3, 12)
    assert info.details["modules"] == sorted(part.rpartition(".")[2] for part in PROJECTIONS)


def test_an_adapter_that_nothing_runs_is_kept_with_the_reason(local_hub: Hub, tmp_path: Path) -> None:
    Lora(use_dora=True).save(tmp_path / "adapter")
    refused(imported(local_hub, tmp_path / "adapter"), "use_dora")


def test_a_pickled_adapter_is_not_looked_into(hub: Hub, add: Callable[..., Add], tmp_path: Path) -> None:
    files = Lora().save(tmp_path / "adapter")
    operations = [add("t", "adapter_config.json", Path(files["adapter_config.json"]).read_bytes())]
    operations.append(add("t", "adapter_model.bin", b"not looked into"))
    hub.create("t", REPO)
    hub.commit("t", REPO, "main", None, operations, "m", "me")
    refused(Models(hub).info("t", REPO), "pickled ones are not loaded")


def refused(info: ModelInfo, reason: str) -> None:
    assert (info.verbs, info.engine) == ((), "")
    assert info.details is not None
    assert reason in info.details["refused"]


@pytest.mark.parametrize("config", ["", "[]", "{", '{"peft_type": "LORA", "lora_alpha": "much"}', "[" * 100_000])
def test_a_broken_configuration_does_not_come_in(local_hub: Hub, tmp_path: Path, config: str) -> None:
    Lora().save(tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_config.json").write_text(config)
    with pytest.raises(Damaged):
        imported(local_hub, tmp_path / "adapter")
