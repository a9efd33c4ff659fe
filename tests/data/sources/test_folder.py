"""Folders: links, metadata files, odd names, speed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from craton.core.errors import CratonError, Damaged, InvalidRequest, NotFound, Unsupported
from craton.core.knowledge import Access, SourceSpec
from craton.data.documents import Item, Source
from craton.data.sources import SourceFailed, Sources
from craton.data.sources.folder import FolderSource, check_folder
from craton.data.sources.options import FolderOptions
from tests.data.sources.conftest import keys, listed

pytestmark = pytest.mark.anyio

Open = Callable[[SourceSpec], Awaitable[Source]]


def folder(path: Path, **options: object) -> SourceSpec:
    return SourceSpec("folder", {"path": str(path), **options})


async def test_only_allowed_folders_are_read(sources: Sources, docs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (docs / "out").symlink_to(outside)
    (docs / "in").mkdir()
    (docs / "file").write_text("x")
    sources.check(folder(docs / "in"), "acme")
    wrong = [outside, docs / "out", docs / ".." / "outside", Path("docs"), docs / "absent", docs / "file", Path("/")]
    for path in [*wrong, tmp_path / "docs-2", Path(f"{docs}\0")]:
        with pytest.raises(InvalidRequest) as caught:
            sources.check(folder(path), "acme")
        assert caught.value.field == "path"


async def test_links_are_passed_over_or_stay_inside(opened: Open, docs: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "deep.txt").write_text("secret")
    (docs / "real.txt").write_text("open")
    (docs / "inner").symlink_to(docs / "real.txt")
    (docs / "outer").symlink_to(tmp_path / "secret.txt")
    (docs / "folder").symlink_to(tmp_path / "more")
    (docs / "circle").symlink_to(docs)
    (docs / "nowhere").symlink_to(docs / "absent")
    assert await keys(await opened(folder(docs))) == ["real.txt"]
    following = await opened(folder(docs, follow_links=True))
    assert {"inner", "real.txt"} <= set(await keys(following))
    assert not any("secret" in key or "deep" in key or "outer" in key for key in await keys(following))
    for source in (await opened(folder(docs)), following):
        for key in ("outer", "folder/deep.txt", "../secret.txt", "circle/../../secret.txt"):
            with pytest.raises(CratonError):
                await source.fetch(Item(key), tmp_path, 100)
    assert (await following.fetch(Item("inner"), tmp_path, 100)).path.read_text() == "open"
    with pytest.raises(NotFound):
        await (await opened(folder(docs))).fetch(Item("inner"), tmp_path, 100)


async def test_a_file_swapped_for_a_link_after_the_listing_is_not_followed(
    opened: Open, docs: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (docs / "a").mkdir()
    (docs / "a" / "secret.txt").write_text("open")
    source = await opened(folder(docs))
    item = (await listed(source))["a/secret.txt"]
    (docs / "a" / "secret.txt").unlink()
    (docs / "a").rmdir()
    (docs / "a").symlink_to(tmp_path)
    with pytest.raises(CratonError):
        await source.fetch(item, tmp_path, 100)


async def test_what_is_no_file_is_passed_over(opened: Open, docs: Path, tmp_path: Path) -> None:
    os.mkfifo(docs / "pipe")
    (docs / "empty").write_bytes(b"")
    source = await opened(folder(docs))
    found = await listed(source)
    assert [*found] == ["empty"]
    assert (await source.fetch(found["empty"], tmp_path, 10)).path.read_bytes() == b""
    with pytest.raises(NotFound):
        await source.fetch(Item("pipe"), tmp_path, 10)


async def test_names_of_every_kind_are_read(opened: Open, docs: Path, tmp_path: Path) -> None:
    for name in (b"caf\xe9.txt", "日本語 \n.txt".encode(), b"a\\xe9b.txt", b"#?%.txt"):
        handle = os.open(os.fsencode(docs) + b"/" + name, os.O_CREAT | os.O_WRONLY)
        os.write(handle, name)
        os.close(handle)
    source = await opened(folder(docs))
    found = await listed(source)
    assert set(found) == {"caf\\xe9.txt", "日本語 \n.txt", "a\\xe9b.txt", "#?%.txt"}
    for key, item in found.items():
        key.encode()
        fetched = await source.fetch(item, tmp_path, 100)
        assert fetched.path.read_bytes()[:2] == os.fsencode(key)[:2]
        assert fetched.location.uri.startswith("file:///")


async def test_patterns_choose(opened: Open, docs: Path) -> None:
    for name in ("a.md", "b.txt", "x/c.md", "x/y/d.md", "x/y/.hidden.md"):
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_text("x")
    assert await keys(await opened(folder(docs, include=["*.md"], exclude=["x/y/**"]))) == ["a.md", "x/c.md"]
    assert await keys(await opened(folder(docs, include=["x/*.md", "*.txt"]))) == ["b.txt", "x/c.md"]
    assert await keys(await opened(folder(docs, include=["x/"], exclude=[".*"]))) == ["x/c.md", "x/y/d.md"]


def beside(path: Path, **content: object) -> None:
    path.with_name(f"{path.name}.metadata.json").write_text(json.dumps(content))


async def test_metadata_files_are_read(opened: Open, docs: Path, tmp_path: Path) -> None:
    (docs / "a.txt").write_text("x")
    source = await opened(folder(docs))
    bare = (await listed(source))["a.txt"]
    attributes = {
        "year": 2024,
        "score": {"value": {"type": "NUMBER", "numberValue": 1.5}, "includeForEmbedding": True},
        "team": {"value": {"type": "STRING", "stringValue": "core"}},
        "draft": True,
        "tags": ["a", "b"],
        "langs": {"value": {"type": "STRING_LIST", "stringListValue": ["de"]}},
        "final": {"value": {"type": "BOOLEAN", "booleanValue": False}},
    }
    entries = [
        {"name": "ann", "type": "USER", "access": "ALLOW"},
        {"name": "bob", "type": "USER", "access": "DENY"},
    ]
    beside(docs / "a.txt", metadataAttributes=attributes, accessControlList=entries)
    found = await listed(source)
    assert [*found] == ["a.txt"]
    assert (found["a.txt"].etag, bool(found["a.txt"].metadata_etag)) == (bare.etag, True)
    fetched = await source.fetch(found["a.txt"], tmp_path, 100)
    assert fetched.metadata == {
        "year": 2024.0,
        "score": 1.5,
        "team": "core",
        "draft": True,
        "tags": ("a", "b"),
        "langs": ("de",),
        "final": False,
    }
    assert isinstance(fetched.metadata["year"], float)
    assert fetched.access == Access(("ann",), ("bob",))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("{", Damaged),
        ("[]", Damaged),
        ('{"metadataAttributes": {"a": {"b": 1}}}', Damaged),
        ('{"metadataAttributes": {"a": null}}', Damaged),
        ('{"metadataAttributes": {"a": [1]}}', Damaged),
        ('{"metadataAttributes": {"": 1}}', Damaged),
        ('{"acl": []}', Damaged),
        ('{"accessControlList": []}', Damaged),
        ('{"accessControlList": [{"name": "x", "type": "USER", "access": "MAYBE"}]}', Damaged),
        ('{"accessControlList": [{"name": "staff", "type": "GROUP", "access": "ALLOW"}]}', Unsupported),
        ("[" * 100_000, CratonError),
        (" " * 100_000, CratonError),
        ("\udcff", Damaged),
    ],
)
async def test_a_metadata_file_that_cannot_be_kept_refuses_its_document(
    opened: Open, docs: Path, tmp_path: Path, content: str, error: type[Exception]
) -> None:
    (docs / "a.txt").write_text("x")
    (docs / "a.txt.metadata.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    (docs / "b.txt").write_text("y")
    source = await opened(folder(docs))
    found = await listed(source)
    with pytest.raises(error):
        await source.fetch(found["a.txt"], tmp_path, 100)
    assert (await source.fetch(found["b.txt"], tmp_path, 100)).access == Access()


async def test_an_access_list_behind_a_link_is_never_ignored(opened: Open, docs: Path, tmp_path: Path) -> None:
    (docs / "a.txt").write_text("x")
    (tmp_path / "acl.json").write_text("{}")
    (docs / "a.txt.metadata.json").symlink_to(tmp_path / "acl.json")
    for links in (False, True):
        source = await opened(folder(docs, follow_links=links))
        with pytest.raises(SourceFailed):
            await source.fetch(Item("a.txt"), tmp_path, 100)


async def test_a_folder_that_is_gone_has_not_lost_its_files(docs: Path) -> None:
    source = FolderSource(check_folder(str(docs), [docs]), FolderOptions(str(docs)))
    os.rmdir(docs)
    with pytest.raises(SourceFailed):
        await listed(source)


async def test_five_thousand_files_are_listed_at_once(opened: Open, docs: Path) -> None:
    for number in range(5000):
        place = docs / f"{number % 50}"
        if number < 50:
            place.mkdir()
        (place / f"{number}.txt").touch()
    source = await opened(folder(docs))
    began = time.perf_counter()
    assert len(await listed(source)) == 5000
    assert time.perf_counter() - began < 2.0
