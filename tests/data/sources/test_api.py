"""HTTP APIs: every way to continue, patience with a busy server, and none with a broken one."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from craton.core.errors import InvalidRequest, TooLarge
from craton.core.knowledge import SourceSpec
from craton.data.documents import Source
from craton.data.sources import SourceFailed, Sources
from tests.data.sources.conftest import keys, listed
from tests.data.sources.sites import Asked, Page, Site, redirect

pytestmark = pytest.mark.anyio

Open = Callable[[SourceSpec], Awaitable[Source]]
RECORDS = [
    {"id": number, "title": f"T{number}", "body": f"B{number}", "at": number, "x": {"y": [1, 2]}} for number in range(7)
]


def page(records: object, *headers: tuple[str, str], **more: object) -> Page:
    return Page(
        json.dumps({"items": records, **more}).encode(), headers=(("content-type", "application/json"), *headers)
    )


def spec(web: Site, /, **options: object) -> SourceSpec:
    return SourceSpec("api", {"url": f"{web.url}/v1?fixed=1", "items": "/items", **options})


def serving(web: Site, kind: str) -> Callable[[Asked], Page]:
    def answer(asked: Asked) -> Page:
        query = {name: values[0] for name, values in parse_qs(urlsplit(asked.target).query).items()}
        assert query["fixed"] == "1"
        size = int(query.get("n", 2))
        at = int(query.get("p", 0)) * (size if kind == "page" else 1)
        part, following = RECORDS[at : at + size], at + size
        more = following < len(RECORDS)
        if kind == "cursor":
            return page(part, next={"token": str(following) if more else None})
        if kind == "next":
            return page(part, next={"token": f"/v1?fixed=1&p={following}" if more else ""})
        if kind == "link" and more:
            return page(part, ("link", f'<x>; rel="prev", <{web.url}/v1?fixed=1&p={following}>; rel="next last"'))
        return page(part)

    return answer


@pytest.mark.parametrize("kind", ["page", "offset", "cursor", "next", "link"])
async def test_every_way_to_continue_reads_everything_once(web: Site, opened: Open, kind: str) -> None:
    pagination: dict[str, object] = {"kind": kind}
    if kind in {"page", "offset", "cursor"}:
        pagination["parameter"] = "p"
    if kind in {"page", "offset"}:
        pagination |= {"first": 0, "size": 2, "size_parameter": "n"}
    if kind in {"cursor", "next"}:
        pagination["pointer"] = "/next/token"
    web.answer = serving(web, kind)
    assert await keys(await opened(spec(web, pagination=pagination))) == [str(number) for number in range(7)]
    assert len(web.asked) == 4


async def test_records_become_documents(web: Site, opened: Open, tmp_path: Path) -> None:
    web.answer = lambda asked: page(RECORDS[:1])
    options = {"title": "/title", "text": ["/body"], "metadata": {"at": "/at", "second": "/x/y/1", "none": "/no"}}
    source = await opened(spec(web, **options))
    fetched = await source.fetch((await listed(source))["0"], tmp_path, 100)
    assert fetched.path.read_text() == "B0"
    assert (fetched.title, fetched.metadata) == ("T0", {"at": 0.0, "second": 2.0})
    assert fetched.location.uri == f"{web.url}/v1#0"
    whole = await opened(spec(web))
    text = (await whole.fetch((await listed(whole))["0"], tmp_path, 1000)).path.read_text()
    assert json.loads(text) == RECORDS[0]


async def test_a_failure_half_way_ends_the_whole_listing(web: Site, opened: Open) -> None:
    paging = {"kind": "page", "parameter": "p"}
    web.pages["/v1?fixed=1&p=1"] = page(RECORDS[:2])
    for broken in (Page(b"", "500 Oops"), Page(b"<html>"), Page(b"[" * 100_000), page("none"), page([{"no": 1}])):
        web.pages["/v1?fixed=1&p=2"] = broken
        with pytest.raises(SourceFailed):
            await listed(await opened(spec(web, pagination=paging)))
    web.pages["/v1?fixed=1&p=2"] = redirect("http://169.254.169.254/")
    with pytest.raises(Exception, match="not allowed"):
        await listed(await opened(spec(web, pagination=paging)))


async def test_a_busy_server_is_asked_again(web: Site, opened: Open) -> None:
    busy = [Page(b"", "429 Slow", (("retry-after", "2"),)), Page(b"", "503 Busy")]
    web.answer = lambda asked: busy.pop() if busy else page(RECORDS)
    assert len(await listed(await opened(spec(web)))) == 7
    web.answer = lambda asked: Page(b"", "429 Slow", (("retry-after", "86400"),))
    web.asked.clear()
    with pytest.raises(SourceFailed):
        await listed(await opened(spec(web)))
    assert len(web.asked) == 1


async def test_the_secret_goes_to_that_host_only(web: Site, sources: Sources) -> None:
    web.answer = lambda asked: page([], next="http://elsewhere.test/v1")
    paging = {"kind": "next", "pointer": "/next"}
    keyed = replace(spec(web, pagination=paging, auth_header="x-key", auth_prefix=""), credential="main")
    source = await sources.open(keyed, "acme")
    with pytest.raises(SourceFailed):
        await listed(source)
    assert web.asked[0].headers["x-key"] == "secret-of-acme-main"
    assert len(web.asked) == 1


async def test_pages_that_repeat_themselves_come_to_an_end(web: Site, opened: Open) -> None:
    web.answer = lambda asked: page(RECORDS, next="same")
    with pytest.raises(SourceFailed):
        await listed(await opened(spec(web, pagination={"kind": "cursor", "parameter": "p", "pointer": "/next"})))
    with pytest.raises(TooLarge):
        await listed(await opened(spec(web, pagination={"kind": "page", "parameter": "p"}, max_items=50)))


async def test_only_what_changed_is_asked_for(web: Site, opened: Open) -> None:
    def answer(asked: Asked) -> Page:
        since = int(parse_qs(urlsplit(asked.target).query).get("since", ["0"])[0])
        return page([{**record, "gone": record["id"] == 6} for record in RECORDS if int(str(record["at"])) >= since])

    web.answer = answer
    source = await opened(spec(web, updated="/at", since_parameter="since", deleted="/gone"))
    assert source.incremental
    first = await listed(source)
    assert [key for key, item in first.items() if item.deleted] == ["6"]
    assert source.cursor() == "6"
    assert await keys(source, source.cursor()) == ["6"]
    whole = await opened(spec(web, deleted="/gone"))
    assert "6" not in await listed(whole)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "http://user:secret@a.test/"}, "url"),
        ({"key": "id"}, "key"),
        ({"pagination": {"kind": "cursor", "parameter": "p"}}, "pagination.pointer"),
        ({"pagination": {"kind": "page"}}, "pagination.parameter"),
        ({"pagination": {"kind": "magic"}}, "pagination.kind"),
        ({"since_parameter": "s"}, "updated"),
        ({"headers": {"Authorization": "x"}}, "headers.Authorization"),
        ({"headers": {"x": "a\r\nb: c"}}, "headers"),
        ({"auth_header": "x y"}, "auth_header"),
        ({"what": 1}, "what"),
    ],
)
async def test_options_that_cannot_be_are_named(
    web: Site, sources: Sources, options: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sources.check(spec(web, **options), "acme")
    assert caught.value.field.startswith(f"options.{field}")
