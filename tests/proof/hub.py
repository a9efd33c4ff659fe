"""The hub's kill storm: the server dies by kill -9 amid uploads and commits of the stock client, again and again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from craton.core.repo import RepoId
from craton.hub.contents import Contents
from craton.hub.keeping.collecting import Collector
from craton.hub.keeping.needs import needed
from craton.hub.keeping.scrubbing import Scrubbed, Scrubber
from craton.knowledge.keeping import named_blobs
from craton.store.blobs.folder import ABANDONED_AFTER, FolderBlobs
from tests.proof.homes import opened
from tests.proof.report import Proof
from tests.servers import RunningServer, serving

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("regular", "lfs", "xet")
TENANT = "default"
DAY = 86_400.0

ABOUT = (
    "Each round starts a server on the same CRATON_HOME, has three processes with the stock huggingface_hub upload to "
    "it (regular files, Git LFS, Xet), and kills it with kill -9 at a random moment. Afterwards every commit that a "
    "client was told of must be there with its file's bytes, every file of every tree must be whole, and collections "
    "with the clock moved on must leave exactly the bytes that rows need, which a scrub then finds whole. (kill -9 "
    "keeps the page cache: what a power cut takes is the business of tests/store and tests/hub/keeping.)"
)


@dataclass
class Tally:
    """acknowledged: repository, commit, path, sha256."""

    acknowledged: list[tuple[str, str, str, str]] = field(default_factory=list)
    lost: int = 0
    torn: int = 0
    files: int = 0
    orphans: int = 0
    left: int = 0
    gone: int = 0
    starts: list[float] = field(default_factory=list)


def prove(folder: Path, kills: int) -> Proof:
    proof = Proof("hub", "Kill storm of the hub", ABOUT)
    tally = storm(folder, kills)
    by_kind = {kind: sum(kind in path for _, _, path, _ in tally.acknowledged) for kind in ("lfs", "xet")}
    regular = len(tally.acknowledged) - sum(by_kind.values())
    proof.note("kill -9 of the server", str(kills))
    proof.bound(
        "commits acknowledged (regular, LFS, Xet), lost",
        f"{len(tally.acknowledged):,} ({regular:,}, {by_kind['lfs']:,}, {by_kind['xet']:,}), {tally.lost}",
        "0 lost",
        tally.lost == 0,
    )
    proof.bound("files in trees, torn", f"{tally.files:,}, {tally.torn}", "0 torn", tally.torn == 0)
    proof.bound(
        "blobs that nothing needed, left after collection",
        f"{tally.orphans:,}, {tally.left}",
        "0 left",
        tally.left == 0,
    )
    proof.bound("blobs that rows need, gone after collection", str(tally.gone), "0 gone", tally.gone == 0)
    proof.note("slowest start on what a kill left", f"{max(tally.starts):.2f} s")
    return proof


def storm(folder: Path, kills: int, seed: int = 20) -> Tally:
    home, tally, chance = folder / "home", Tally(), random.Random(seed)
    for number in range(kills):
        _round(home, number, chance, tally)
        _check(home, tally, tally.acknowledged[-60:])
        if (number + 1) % 10 == 0:
            print(f"  {number + 1} kills ...", flush=True)
    _check(home, tally, tally.acknowledged)
    _collect(home, tally)
    _check(home, tally, tally.acknowledged)
    return tally


def _round(home: Path, number: int, chance: random.Random, tally: Tally) -> None:
    started = time.monotonic()
    with serving(home) as server:
        tally.starts.append(time.monotonic() - started)
        uploaders = [_upload(server, f"{kind}-{number % 7}", kind) for kind in KINDS]
        try:
            first = chance.choice(uploaders)
            assert first.stdout is not None
            line = first.stdout.readline()  # it works by now
            assert line, f"the uploader ended by itself: {(home.parent / 'uploaders.log').read_text()[-3000:]}"
            time.sleep(chance.uniform(0.0, 1.5))
            os.kill(server.pid, signal.SIGKILL)
        finally:
            for uploader in uploaders:
                uploader.kill()
        for uploader in uploaders:
            with uploader:
                assert uploader.stdout is not None
                text = (line if uploader is first else "") + uploader.stdout.read()
            for told in text.splitlines(keepends=True):
                if told.endswith("\n"):
                    repo, commit, path, digest = told.split()
                    tally.acknowledged.append((repo, commit, path, digest))


def _upload(server: RunningServer, name: str, kind: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.proof.hub_uploader", server.url, server.token, name, kind]
    environment = {**server.environment, "HF_HOME": str(server.home.parent / "hf")}
    with (server.home.parent / "uploaders.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)


def _check(home: Path, tally: Tally, acknowledged: list[tuple[str, str, str, str]]) -> None:
    """What was acknowledged is there; what is there is whole."""
    with opened(home) as platform:
        contents = Contents(platform.database)
        for name in sorted({repo for repo, *_ in acknowledged}):
            repo = RepoId("model", *name.split("/"))
            files = {it.path: it.digest for it in contents.files(TENANT, repo, "main", 1_000_000).items}  # type: ignore[union-attr]
            commits = {it.id for it in contents.history(TENANT, repo, "main", 1_000_000)}
            whole = {}
            for digest in {*files.values()}:
                try:
                    whole[digest] = sum(map(len, platform.blobs.read(digest))) > 0
                except Exception as error:
                    print(f"  {digest}: {error}", flush=True)
                    whole[digest] = False
            tally.files += len(files)
            tally.torn += sum(not ok for ok in whole.values())
            for _, commit, path, digest in (it for it in acknowledged if it[0] == name):
                tally.lost += not (commit in commits and files.get(path) == digest and whole[digest])


def _collect(home: Path, tally: Tally) -> None:
    with opened(home) as platform:
        before = sum(1 for _ in platform.store.list())
        for days in (90, 92, 94):
            clock = partial(lambda days: time.time() + days * DAY, days)
            named = [partial(named_blobs, platform.database)]
            Collector(platform.database, platform.store, named, clock, DAY).collect()
        FolderBlobs(platform.home.blobs, clock=lambda: time.time() + 2 * ABANDONED_AFTER)
        left = [it.digest for it in platform.store.list()]
        with platform.database.read() as connection:
            wanted = {it for at in range(0, len(left), 500) for it in needed(connection, left[at : at + 500])}
        done = Scrubbed()
        for _ in Scrubber(platform.database, platform.store, time.time, 1e12).scrub(done):
            pass
        tally.gone = done.damaged + done.missing
        tally.orphans = before - len(left)
        tally.left = len(set(left) - wanted) + len(list((platform.home.blobs / "tmp").iterdir()))
