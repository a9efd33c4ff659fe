"""A mirror of a hub that breaks off, lies and stalls: a small hostile server, and a real Craton before it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from huggingface_hub.errors import GatedRepoError

from tests.app.mirroring import Hub, hub, mirror_of, opened, trust
from tests.app.wild_hub import Wild, WildHub, wild_hub
from tests.servers import serving

TOKEN = "hf_the-operators-own"
LARGE = os.urandom(5_000_000)
FILES = {"config.json": b"{}", "net.safetensors": LARGE}


@pytest.fixture(scope="module")
def wild() -> Iterator[WildHub]:
    with wild_hub() as running:
        yield running


def settings(wild: WildHub) -> str:
    more = ['credential = "up"', f'[outgoing]\nallow = ["{wild.storage}"]']
    return mirror_of(wild.url, *more)


@pytest.fixture(scope="module")
def here(wild: WildHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub(tmp_path_factory.mktemp("mirror") / "home", settings(wild)) as running:
        trust(running, TOKEN)
        yield running


def fetch(here: Hub, path: str, **headers: str) -> httpx.Response:
    token = {"authorization": f"Bearer {here.alice.token}"}
    return httpx.get(f"{here.server.url}/{path}", headers=token | headers, timeout=60)


def is_held(here: Hub, content: bytes) -> bool:
    return here.blobs.exists(hashlib.sha256(content).hexdigest())


def test_the_operators_token_goes_to_the_hub_and_nowhere_else(wild: WildHub, here: Hub) -> None:
    wild.repos["token"] = Wild({"config.json": b"{}", "net.safetensors": os.urandom(2000)})
    for path in wild.repos["token"].files:
        assert fetch(here, f"wild/token/resolve/main/{path}").content == wild.repos["token"].files[path]
    to_hub, to_storage = wild.asked("wild/token"), wild.asked("storage:/token/")
    assert {headers.get("authorization") for headers in to_hub} == {f"Bearer {TOKEN}"}
    assert len(to_storage) == 2
    assert not any("authorization" in headers for headers in to_storage)
    assert not any(str(here.alice.token) in str(headers) for _, headers in wild.seen)


def test_a_redirect_to_a_place_that_is_not_allowed_is_not_followed(wild: WildHub, here: Hub) -> None:
    with wild_hub() as other:
        other.repos["away"] = Wild(FILES)
        wild.repos["away"] = Wild(FILES, elsewhere=other.storage)
        refused = fetch(here, "wild/away/resolve/main/net.safetensors")
        assert (refused.status_code, "not allowed" in refused.text) == (403, True)
        assert other.seen == []


def test_what_is_no_name_never_reaches_upstream(wild: WildHub, here: Hub) -> None:
    before = len(wild.seen)
    for name in (
        "wild%2F..%2F..%2Fapi/whoami-v2",
        "..%2F../x",
        "wild/a%3Fb=c",
        "wild/a%23b",
        "wild/a%0D%0Ab",
        "a%40b/c",
    ):
        assert fetch(here, f"api/models/{name}").status_code == 404
    assert len(wild.seen) == before


def test_one_download_for_many_clients_that_resumes_where_it_broke_off(wild: WildHub, here: Hub) -> None:
    content = os.urandom(5_000_000)
    wild.repos["flight"] = Wild({"net.safetensors": content}, cut=2_000_000, slow=0.02)
    url = "wild/flight/resolve/main/net.safetensors"
    with ThreadPoolExecutor(9) as clients:
        whole = [clients.submit(fetch, here, url) for _ in range(8)]
        part = clients.submit(fetch, here, url, range="bytes=3000000-3000009").result()
        assert (part.status_code, part.content) == (206, content[3_000_000:3_000_010])
        assert all(it.result().content == content for it in whole)
    ranges = [headers.get("range") for headers in wild.asked("storage:/flight/")]
    assert ranges == [None, "bytes=2000000-", "bytes=4000000-"]
    assert fetch(here, url).content == content
    give_up = time.monotonic() + 30
    while not is_held(here, content) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert is_held(here, content)
    assert len(wild.asked("storage:/flight/")) == 3


def test_wrong_bytes_are_never_given_whole_and_never_held(wild: WildHub, here: Hub) -> None:
    small, large = os.urandom(1000), os.urandom(4_000_000)
    wild.repos["lies"] = Wild({"small.safetensors": small, "large.safetensors": large})
    wild.repos["lies"].lies = {"small.safetensors": small[::-1], "large.safetensors": large[:-1] + b"\0\0"[:1]}
    wild.repos["lies"].files["large.safetensors"] = large = large[:-1] + b"\1"
    refused = fetch(here, "wild/lies/resolve/main/small.safetensors")
    assert (refused.status_code, "hash" in refused.json()["error"]) == (500, True)
    with pytest.raises(httpx.RemoteProtocolError):  # it breaks off before its end
        fetch(here, "wild/lies/resolve/main/large.safetensors")
    assert not is_held(here, small)
    assert not is_held(here, large)
    wild.repos["lies"].lies = {}
    assert fetch(here, "wild/lies/resolve/main/large.safetensors").content == large
    wild.repos["git"] = Wild({"a.txt": b"truth"}, lies={"a.txt": b"wrong"})
    assert fetch(here, "api/models/wild/git").status_code == 500
    longer = Wild({"a.safetensors": small}, lies={"a.safetensors": small + b"more"})
    wild.repos["longer"] = longer
    assert "longer" in fetch(here, "wild/longer/resolve/main/a.safetensors").text


@pytest.mark.parametrize(
    "item",
    [
        {"type": "file", "path": "../../up", "size": 1, "oid": "1" * 40},
        {"type": "file", "path": "a", "size": -1, "oid": "1" * 40},
        {"type": "file", "path": "a", "size": 1, "oid": "../../x"},
        {"type": "file", "path": "a", "size": 1, "oid": "1" * 40, "lfs": {"oid": "/etc/passwd", "size": 1}},
        {"type": "file"},
    ],
)
def test_a_list_that_no_hub_would_give_is_refused(wild: WildHub, here: Hub, item: dict[str, object]) -> None:
    wild.repos["list"] = Wild({}, listing=[item])
    refused = fetch(here, "api/models/wild/list")
    assert 400 <= refused.status_code <= 500
    assert "error" in refused.json()


def test_what_upstream_gates_is_refused_here_and_what_was_read_before_goes(wild: WildHub, here: Hub) -> None:
    wild.repos["gate"] = Wild({"config.json": b"{}"})
    assert here.alice.model_info("wild/gate").sha == "1" * 40
    wild.repos["gate"].gated = True
    with pytest.raises(GatedRepoError):
        here.alice.model_info("wild/gate")
    refused = fetch(here, f"wild/gate/resolve/{'1' * 40}/config.json")
    assert refused.status_code in {403, 404}


def test_a_download_goes_on_after_kill_9(wild: WildHub, tmp_path: Path) -> None:
    content = os.urandom(8_000_000)
    wild.repos["kill"] = Wild({"net.safetensors": content}, slow=0.1)
    url = "wild/kill/resolve/main/net.safetensors"
    with serving(tmp_path / "home", config=settings(wild)) as server:
        first = opened(server)
        trust(first, TOKEN)
        with ThreadPoolExecutor(1) as client:
            broken = client.submit(fetch, first, url)
            partial = tmp_path / "home" / "downloads" / "mirror"
            while not sum(it.stat().st_size for it in partial.glob("*")) > 1_000_000:
                time.sleep(0.02)
            server.process.kill()
            server.process.wait()
            with pytest.raises(httpx.HTTPError):
                broken.result()
        first.platform.close()
    wild.repos["kill"].slow = 0.0
    with serving(tmp_path / "home") as server:
        again = opened(server)
        assert fetch(again, url).content == content
        give_up = time.monotonic() + 30
        while list(partial.iterdir()) and time.monotonic() < give_up:  # it is kept a moment after it was sent
            time.sleep(0.05)
        assert list(partial.iterdir()) == []
        assert is_held(again, content)
        again.platform.close()
    starts = [int(it["range"].removeprefix("bytes=").removesuffix("-")) for it in wild.asked("storage:/kill/")[1:]]
    assert len(starts) == 1
    assert starts[0] > 1_000_000
