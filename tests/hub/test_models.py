"""What a model is, read from its files; the catalogue's names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from craton.core.access import SHARED_TENANT
from craton.core.errors import Damaged, InvalidRequest, NotFound
from craton.core.model import ModelInfo
from craton.core.repo import Add, RepoId
from craton.hub.cards import complete_card, read_card
from craton.hub.catalog import Catalog
from craton.hub.importing import Imported, Importer, Incoming
from craton.hub.local import import_path
from craton.hub.memory import memory_needed
from craton.hub.models import Models
from craton.hub.repositories import Hub

REPO = RepoId("model", "acme", "tiny")


def put(
    hub: Hub, files: dict[str, bytes], tenant: str = "t", repo: RepoId = REPO, models: Models | None = None
) -> Imported:
    incoming = [
        Incoming(path, len(content), lambda content=content: iter([content])) for path, content in files.items()
    ]
    return Importer(models or Models(hub), tenant).put(repo, incoming, "m")


def test_a_gguf_is_described_from_its_header(local_hub: Hub, gguf_maker: Any) -> None:
    content = gguf_maker.model()
    card = b"---\nlicense: mit\nbase_model: acme-labs/tiny\n---\nWords.\n"
    info = put(local_hub, {"tiny.gguf": content, "README.md": card}).info
    assert info.id == info.repo == "acme/tiny"
    assert (info.verbs, info.engine, info.format) == (("chat",), "llama_cpp", "gguf")
    assert (info.architecture, info.quantisation, info.context_length) == ("llama", "Q4_0", 128)
    assert (info.layers, info.kv_heads, info.head_dimensions) == (2, 2, 16)
    assert (info.parameters, info.size_bytes) == (64 * 10 + 64, len(content))
    assert (info.license, info.provider, info.chat_template) == ("mit", "acme-labs", "{{ messages }}")
    assert info.details is not None
    assert info.details["vocabulary"] == 1500


def test_a_bert_folder_embeds_and_what_could_run_stays_outside(local_hub: Hub, bert_folder: Path) -> None:
    done = import_path(Importer(Models(local_hub), "t"), bert_folder, REPO)
    assert done.skipped == ("modeling.py", "pytorch_model.bin")
    info = done.info
    assert (info.verbs, info.engine, info.architecture) == (("embed",), "bert", "bert")
    assert (info.dimensions, info.context_length, info.layers, info.parameters) == (8, 32, 3, 163)
    paths = [entry.path for entry in local_hub.tree("t", REPO)]
    assert "1_Pooling/config.json" in paths
    assert not {"modeling.py", "pytorch_model.bin"} & set(paths)


def changed(maker: Any, **changes: bytes) -> dict[str, bytes]:
    return {"tiny.gguf": maker.model(**changes)}


UNSERVED: dict[str, Callable[[Any], dict[str, bytes]]] = {
    "bert": lambda m: changed(m, architecture=m.string("general.architecture", "bert")),
    "a part of a model": lambda m: changed(m, name=m.string("general.type", "adapter")),
    "split": lambda m: changed(m, name=m.number("split.count", 2)),
    "embed or encode": lambda m: changed(m, name=m.number("llama.pooling_type", 3)),
    "no architecture": lambda m: {"tiny.gguf": m.file([], [], b"")},
    "2 GGUF files": lambda m: {"a.gguf": m.model(), "b.gguf": m.model()},
    "neither": lambda m: {"data.txt": b"x"},
}


@pytest.mark.parametrize("reason", UNSERVED)
def test_what_no_engine_serves_is_kept_with_the_reason(local_hub: Hub, gguf_maker: Any, reason: str) -> None:
    info = put(local_hub, UNSERVED[reason](gguf_maker)).info
    assert (info.verbs, info.engine) == ((), "")
    assert info.details is not None
    assert reason in info.details["refused"]


def test_a_base_model_without_a_chat_template_runs_under_an_adapter_alone(local_hub: Hub, gguf_maker: Any) -> None:
    info = put(local_hub, changed(gguf_maker, template=gguf_maker.string("a", "b"))).info
    assert (info.verbs, info.engine) == ((), "llama_cpp")
    assert info.details is not None
    assert "chat template" in info.details["refused"]


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("config.json", '{"model_type": "llama"}', "only encoders"),
        ("config.json", '{"model_type": "bert", "vocab_size": 21, "hidden_size": 8}', "do not have the shape"),
        ("config.json", None, "no config.json"),
        ("tokenizer.json", None, "no tokenizer.json"),
    ],
)
def test_an_unfit_folder_is_kept_with_the_reason(
    local_hub: Hub, bert_folder: Path, file: str, content: str | None, reason: str
) -> None:
    if content is None:
        (bert_folder / file).unlink()
    else:
        (bert_folder / file).write_text(content)
    info = import_path(Importer(Models(local_hub), "t"), bert_folder, REPO).info
    assert info.verbs == ()
    assert info.details is not None
    assert reason in info.details["refused"]


def test_a_broken_file_is_refused_before_anything_is_committed(local_hub: Hub, gguf_maker: Any) -> None:
    with pytest.raises(Damaged):
        put(local_hub, {"tiny.gguf": gguf_maker.model()[:-1]})
    with pytest.raises(NotFound):
        local_hub.get("t", REPO)


def test_a_broken_configuration_is_refused(local_hub: Hub, bert_folder: Path) -> None:
    for content in (b"[" * 100_000, b"[]", b"{", b"\xff"):
        (bert_folder / "config.json").write_bytes(content)
        with pytest.raises(Damaged):
            import_path(Importer(Models(local_hub), "t"), bert_folder, REPO)


def test_strange_numbers_and_endless_names_are_not_believed(local_hub: Hub, gguf_maker: Any) -> None:
    info = put(
        local_hub,
        changed(
            gguf_maker,
            context=gguf_maker.entry("llama.context_length", 11, (-5).to_bytes(8, "little", signed=True)),
            blocks=gguf_maker.entry("llama.block_count", 10, b"\xff" * 8),
            name=gguf_maker.string("general.organization", "x" * 100_000),
        ),
    ).info
    assert (info.context_length, info.layers) == (None, None)
    assert len(info.provider) == 200
    with pytest.raises(Damaged, match="chat template"):
        put(local_hub, changed(gguf_maker, template=gguf_maker.string("tokenizer.chat_template", "x" * 1_100_000)))


def test_a_template_that_the_check_refuses_is_not_imported(local_hub: Hub, gguf_maker: Any) -> None:
    def check(template: str) -> None:
        raise InvalidRequest("the template is hostile")

    with pytest.raises(InvalidRequest):
        put(local_hub, {"tiny.gguf": gguf_maker.model()}, models=Models(local_hub, check))
    with pytest.raises(NotFound):
        local_hub.get("t", REPO)


def test_a_broken_model_that_came_by_a_commit_is_listed_without_verbs(hub: Hub, add: Callable[..., Add]) -> None:
    hub.create("t", REPO)
    hub.commit("t", REPO, "main", None, [add("t", "tiny.gguf", b"GGUF")], "m", "me")
    [info] = Catalog(Models(hub)).list("t")
    assert info.verbs == ()
    assert info.details is not None
    assert "ends inside" in info.details["refused"]


def test_what_was_read_is_remembered_for_each_revision(hub: Hub, gguf_maker: Any) -> None:
    models = Models(hub)
    first = put(hub, {"tiny.gguf": gguf_maker.model()}).info
    again = put(hub, {"tiny.gguf": gguf_maker.model()})
    assert not again.changed
    assert again.info == models.info("t", REPO) == models.info("t", REPO, first.revision) == first
    second = put(hub, changed(gguf_maker, context=gguf_maker.number("llama.context_length", 256))).info
    assert models.info("t", REPO).context_length == 256
    assert models.info("t", REPO, first.revision).context_length == 128
    assert second.revision != first.revision
    [listed] = Catalog(models).list("t")
    assert listed == replace(second, chat_template=None)


def test_a_link_out_of_the_folder_is_refused(local_hub: Hub, bert_folder: Path) -> None:
    (bert_folder.parent / "secret.json").write_text("{}")
    for link, target in (("leak.json", "secret.json"), ("leak", ".")):
        (bert_folder / link).symlink_to(bert_folder.parent / target)
        with pytest.raises(InvalidRequest, match="leads out"):
            import_path(Importer(Models(local_hub), "t"), bert_folder, REPO)
        (bert_folder / link).unlink()


def test_a_path_without_a_model_is_refused(local_hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    for source in ("weights.bin", "empty", "absent"):
        with pytest.raises(InvalidRequest):
            import_path(Importer(Models(local_hub), "t"), tmp_path / source, REPO)


def test_names_lead_to_own_models_and_shared_ones_only(hub: Hub, gguf_maker: Any) -> None:
    files = {"tiny.gguf": gguf_maker.model()}
    starter = RepoId("model", "craton", "starter")
    put(hub, files, SHARED_TENANT, starter)
    revision = put(hub, files, "a").info.revision
    put(hub, files, "b", RepoId("model", "acme", "other"))
    catalog = Catalog(Models(hub))
    assert [info.id for info in catalog.list("a")] == ["acme/tiny", "starter"]
    assert [info.id for info in catalog.list("b")] == ["acme/other", "starter"]
    assert catalog.resolve("a", "starter") == catalog.resolve("b", "craton/starter")
    found = catalog.resolve("a", f"acme/tiny@{revision}")
    assert found.info.revision == revision
    assert hub.blobs.path(found.files["tiny.gguf"]).read_bytes() == files["tiny.gguf"]
    for absent in ("acme/tiny", "tiny", "nothing", "", "/", "a/b/c", "starter@none", "starter@" + "0" * 40, "x\0"):
        with pytest.raises(NotFound, match="craton models"):
            catalog.resolve("b", absent)


def test_the_cache_grows_with_layers_context_and_streams() -> None:
    info = ModelInfo(
        id="m",
        verbs=("chat",),
        engine="llama_cpp",
        layers=30,
        kv_heads=3,
        head_dimensions=64,
        size_bytes=98_362_432,
        details={"vocabulary": 49_152, "embedding_length": 576},
    )
    one = memory_needed(info, 8192)
    assert one.weights == 98_362_432
    assert one.kv_cache == 2 * 30 * 3 * 64 * 8192 * 2  # 180 MiB
    assert memory_needed(info, 4096, 4).kv_cache == 2 * one.kv_cache
    assert one.total == one.weights + one.kv_cache + one.overhead


def test_a_card_keeps_its_words_and_gains_what_it_lacks() -> None:
    card = complete_card(
        "---\nlicense: mit\ntags: [a]\n---\n# Mine\n\nWords --- here.\n", {"license": "x", "q": 1}, "t"
    )
    assert read_card(card) == {"license": "mit", "tags": ["a"], "q": 1}
    assert card.endswith("---\n\n# Mine\n\nWords --- here.\n")
    assert complete_card(card, {"license": "x"}, "t") == card
    assert read_card(complete_card(None, {"license": "x"}, "Title")) == {"license": "x"}
    assert complete_card("No front matter.", {}, "t") == "No front matter."


@pytest.mark.parametrize(
    "front", ["!!python/object/apply:os.system [x]", "a: [", "- 1", "[" * 5_000, "a: &a [*a, *a]", "x" * 70_000, "\0"]
)
def test_a_hostile_card_is_only_prose(local_hub: Hub, gguf_maker: Any, front: str) -> None:
    card = f"---\nlicense: {front}\n---\nWords.\n"
    info = put(local_hub, {"tiny.gguf": gguf_maker.model(), "README.md": card.encode()}).info
    assert info.verbs == ("chat",)
    assert "os.system" not in info.license
