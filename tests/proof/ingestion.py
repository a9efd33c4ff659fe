"""Ingestions broken off by kill -9, again and again: of the job's process, of the index process, of the server."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shutil
import signal
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import func, select, text

from craton.index.edge import EdgeIndexes
from craton.knowledge import tables
from craton.knowledge.places import index_spec
from craton.knowledge.syncing import marks
from craton.store.database import Database
from tests.app.knowing import GOING, PATIENCE, Aws, Base, Json, Source, keys
from tests.proof.homes import opened
from tests.proof.processes import alive, descendants
from tests.proof.report import Proof
from tests.servers import RunningServer, serving

Victim = Literal["job", "index", "server"]
VICTIMS: tuple[Victim, ...] = ("job", "index", "server")
WORDS = {"job": "job run", "index": "craton.index.edge.child"}  # in the command lines of the processes
NAMES = {"job": "of the job's process", "index": "of the index process", "server": "of the server"}
TENANT = "default"
DOCUMENTS = 120  # of the proof
ABSENT_SECONDS = 5.0
CLOSE = 1e-4  # between two scores that are the same
BORDER = 8  # one result in so many may stand on the other side of the second look's border
RARITY = 0.1
"""Between two of hybrid search over an index from which points were removed: how rare a word is counts them until the
index is optimised or built again."""

CONFIG = "[jobs]\nattempts = 1000\n"  # it is killed more often in a row than anything that is given up on

ABOUT = (
    "A server reads a bucket of {documents} documents into a knowledge base while its job's process, its index process "
    "or the server itself is killed with kill -9 at random moments; when an ingestion gets through, half of the "
    "documents change, some go and some come, and the next one begins. Then the bucket is brought to a last state and "
    "one more ingestion runs in peace. A second server reads that last state once, undisturbed. Both must hold the "
    "same documents, chunks and pieces and as many points, and answer the same questions with the same passages and "
    "scores (those of hybrid search may differ a little, for how rare a word is counts removed points until the index "
    "is optimised). At the end the index folder is deleted and the server started again: rebuilt from the rows, it "
    "must answer just alike. (kill -9 keeps the page cache: what a power cut takes is the business of tests/store.)"
)


def documents(number: int, generation: int) -> dict[str, bytes]:
    """What the bucket holds: half of it changes with each generation, a tenth is away."""
    found = {}
    for index in range(number):
        if (index + generation) % 10 == 3:
            continue
        version = generation if index % 2 else 0
        lines = [
            f"Line {line} of document {index} in version {version} is about {_word(index, version, line)}."
            for line in range(10 + index % 40)
        ]
        found[f"folder/{index:04}.txt"] = "\n".join(lines).encode()
    return found


def _word(*numbers: int) -> str:
    return hashlib.sha256(repr(numbers).encode()).hexdigest()[:8]


@dataclass
class Seen:
    """What a home holds at the end. hits: for each question and mode, passage -> score."""

    ledger: dict[str, str]
    hits: dict[str, dict[str, float]]
    rows: dict[str, int] = field(default_factory=dict)
    points: int = 0


@dataclass
class Storm:
    kills: Counter[str] = field(default_factory=Counter)
    ingestions: int = 0
    processes: int = 0
    orphans: int = 0
    failed: list[str] = field(default_factory=list)


def storm(
    folder: Path, number: int, kills: int, chance: random.Random, *, longest: float = 2.0
) -> tuple[Storm, Seen, Seen, Seen]:
    """What happened; what the kills left; the same rebuilt after its index was deleted; what an undisturbed server has.
    longest: seconds between two kills."""
    told = Storm()
    generation = 0
    home = folder / "stormy"
    with ExitStack() as stack:
        server, source = _started(stack, home)
        _fill(source, documents(number, generation))
        job = source.start()["ingestionJobId"]
        while told.kills.total() < kills:
            victim = chance.choice(VICTIMS)
            if victim != "server":
                _wait_for(server, victim)
            time.sleep(chance.uniform(0.05, longest))
            if victim == "server":
                _kill_server(server, told)
                stack.close()
                server, source = _started(stack, home, source)
            else:
                _kill_child(server, victim, told)
            seen = source.job(job)
            if seen["status"] in GOING:
                continue
            told.ingestions += 1
            if seen["status"] != "COMPLETE" or seen["statistics"]["numberOfDocumentsFailed"]:
                told.failed.append(str(seen))
            generation += 1
            _fill(source, documents(number, generation))
            job = source.start()["ingestionJobId"]
        assert source.ended(job)["status"] == "COMPLETE"
        _fill(source, documents(number, generation + 1))
        source.ingest()
        stormy = look(source, number)
    stormy.rows, stormy.points = rows(home, source.base.id)
    rebuilt = _rebuilt(home, source, number)
    with ExitStack() as stack:
        _, calm = _started(stack, folder / "calm")
        _fill(calm, documents(number, generation + 1))
        calm.ingest()
        peaceful = look(calm, number)
    peaceful.rows, peaceful.points = rows(folder / "calm", calm.base.id)
    return told, stormy, rebuilt, peaceful


def _rebuilt(home: Path, source: Source, number: int) -> Seen:
    """The home after its index was deleted while the server was down."""
    shutil.rmtree(home / "indexes")
    with ExitStack() as stack:
        _, again = _started(stack, home, source)
        with suppress(again.aws.runtime.exceptions.ThrottlingException):  # it is being built again
            again.base.retrieve("which is what opens the index")
        seen = look(again, number)
    seen.rows, seen.points = rows(home, source.base.id)
    return seen


def _started(stack: ExitStack, home: Path, source: Source | None = None) -> tuple[RunningServer, Source]:
    """A server, and the knowledge base's source there: `source` seen through it, or a new one."""
    server = stack.enter_context(serving(home, config=CONFIG))
    aws = Aws(server)
    if source is not None:
        return server, Source(Base(aws, source.base.id), source.id, source.bucket)
    return server, aws.base().s3_source(aws.bucket())


def _fill(source: Source, files: dict[str, bytes]) -> None:
    """Brings the bucket to hold just these."""
    s3 = source.aws.s3
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=source.bucket)
    there = {it["Key"]: it["ETag"].strip('"') for page in pages for it in page.get("Contents", [])}
    for key in sorted(set(there) - set(files)):
        source.delete(key)
    for key, body in files.items():
        if there.get(key) != hashlib.md5(body).hexdigest():
            source.put(key, body)


def _kill_server(server: RunningServer, told: Storm) -> None:
    below = descendants(server.pid)
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(30)
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up and any(map(alive, below)):
        time.sleep(0.02)
    told.kills["server"] += 1
    told.processes += len(below)
    told.orphans += sum(map(alive, below))


def _wait_for(server: RunningServer, victim: Victim) -> None:
    """Until the process is there, or a while: it may have nothing to do just now."""
    give_up = time.monotonic() + ABSENT_SECONDS
    while time.monotonic() < give_up and _child(server, victim) is None:
        time.sleep(0.02)


def _kill_child(server: RunningServer, victim: Victim, told: Storm) -> None:
    """Kills the process if it is there just now."""
    pid = _child(server, victim)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            told.kills[victim] += 1


def _child(server: RunningServer, victim: Victim) -> int | None:
    for pid in descendants(server.pid):
        with suppress(OSError):  # it ended meanwhile
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            if WORDS[victim] in command:
                return pid
    return None


def look(source: Source, number: int) -> Seen:
    """What the server answers when nothing is left to be done."""
    _wait_until_quiet(source)
    hits: dict[str, dict[str, float]] = {}
    for index in range(0, number, max(1, number // 12)):
        for mode in ("SEMANTIC", "HYBRID"):
            question = f"Line 3 of document {index} in version 0 is about {_word(index, 0, 3)}"
            results = source.base.retrieve(question, top=20, overrideSearchType=mode)
            hits[f"{mode} {question}"] = {_passage(result): result["score"] for result in results}
    ledger = {key: document["status"] for key, document in source.documents().items()}
    return Seen(ledger, hits)


def _passage(result: Json) -> str:
    (key,) = keys([result])
    return f"{key} {result['metadata']['x-craton-span']}"


def _wait_until_quiet(source: Source) -> None:
    """Until the index has all that the rows have, and what was left over is swept."""
    give_up = time.monotonic() + PATIENCE
    database = Database.at(source.aws.server.home / "craton.db")
    try:
        while (waiting := _unfinished(database, source.base.id)) != {}:
            assert time.monotonic() < give_up, waiting
            time.sleep(0.1)
    finally:
        database.close()


def _unfinished(database: Database, base: str) -> dict[str, int]:
    """What is still to be done for a base, of each kind that there is something of."""
    seen = marks.read(database, TENANT, base)
    assert seen is not None
    pieces, removals, rows = tables.pieces.c, tables.removals.c, tables.documents.c
    with database.read() as connection:
        found = {
            "pieces": connection.execute(
                select(func.count()).where(pieces.tenant == TENANT, pieces.base == base, pieces.number > seen.indexed)
            ).scalar_one(),
            "removals": connection.execute(
                select(func.count()).where(removals.tenant == TENANT, removals.base == base)
            ).scalar_one(),
            "pending": connection.execute(
                select(func.count()).where(rows.tenant == TENANT, rows.base == base, rows.pending != 0)
            ).scalar_one(),
            "rebuilding": seen.next_epoch,
        }
    return {name: number for name, number in found.items() if number}


def rows(home: Path, base: str) -> tuple[dict[str, int], int]:
    """Of a home without a server: how many rows of each kind there are, and points in the index."""
    with opened(home) as platform:
        with platform.database.read() as connection:
            counted = {
                table.name: connection.execute(
                    select(func.count()).where(table.c.tenant == TENANT, table.c.base == base)
                ).scalar_one()
                for table in (tables.documents, tables.chunks, tables.pieces)
            }
            assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
        seen = marks.read(platform.database, TENANT, base)
        assert seen is not None
        points = asyncio.run(_count(home, seen))
    return counted, points


async def _count(home: Path, seen: marks.Marks) -> int:
    indexes = EdgeIndexes(home / "indexes")
    try:
        index = await indexes.open(index_spec(seen.base, seen.epoch))
        return await index.count()
    finally:
        await indexes.close()


def differences(one: Seen, other: Seen, rarity: float = CLOSE) -> list[str]:
    """In words, what is not the same. rarity: how far scores of hybrid search may be apart."""
    found = []
    if one.ledger != other.ledger:
        found.append(f"documents: {Counter(one.ledger.values())} and {Counter(other.ledger.values())}")
    if one.rows != other.rows:
        found.append(f"rows: {one.rows} and {other.rows}")
    if one.points != other.points:
        found.append(f"points: {one.points} and {other.points}")
    for question, hits in one.hits.items():
        others = other.hits[question]
        loose = rarity > CLOSE and question.startswith("HYBRID")
        close = rarity if loose else CLOSE
        # Of those that score alike at the end of the page, either may be the one that is shown.
        last = max(min(hits.values(), default=0.0), min(others.values(), default=0.0)) + close
        apart = []
        for passage in {*hits, *others}:
            scores = hits.get(passage, 0.0), others.get(passage, 0.0)
            if max(scores) > last and abs(scores[0] - scores[1]) > close:
                apart.append(f"{question}: {passage} scores {scores[0]} and {scores[1]}")
        # The last ones that the second look takes in are as near to each other: who is passed over has half its score.
        if not loose or len(apart) > len(hits) // BORDER or _best(hits) != _best(others):
            found += apart
    return found


def _best(hits: dict[str, float]) -> str:
    return max(hits, key=lambda passage: hits[passage], default="")


def furthest(one: Seen, other: Seen) -> float:
    """How far apart the scores are that both gave to a passage, at most."""
    return max(
        abs(hits[passage] - other.hits[question][passage])
        for question, hits in one.hits.items()
        for passage in hits.keys() & other.hits[question].keys()
    )


def prove(folder: Path, kills: int) -> Proof:
    proof = Proof("ingestion", "Ingestions under kill -9", ABOUT.format(documents=DOCUMENTS))
    told, stormy, rebuilt, calm = storm(folder, DOCUMENTS, kills, random.Random(21), longest=1.0)
    proof.note("kill -9", ", ".join(f"{told.kills[victim]} {NAMES[victim]}" for victim in VICTIMS))
    proof.note("ingestions that got through under them", f"{told.ingestions}")
    proof.bound("of those, failed or with a failed document", f"{len(told.failed)}", "0", not told.failed)
    proof.bound(
        "processes below the killed servers, left behind",
        f"{told.processes}, {told.orphans}",
        "0 left",
        told.orphans == 0,
    )
    proof.note("documents, chunks, pieces at the end", ", ".join(f"{number:,}" for number in stormy.rows.values()))
    good = set(calm.ledger.values()) == {"INDEXED"} and calm.points == calm.rows["knowledge_pieces"] > 0
    proof.bound("of the undisturbed one: every document indexed, a point for each piece", f"{good}", "True", good)
    for what, seen, rarity in (("after the kills", stormy, RARITY), ("rebuilt from the rows", rebuilt, CLOSE)):
        wrong = differences(seen, calm, rarity)
        proof.bound(
            f"{what}, against the undisturbed one: points; passages compared; differences",
            f"{seen.points:,} and {calm.points:,}; {sum(map(len, seen.hits.values())):,}; {len(wrong)}",
            "0 differences",
            not wrong,
        )
        for line in wrong[:20]:
            print(f"    {line}", flush=True)
        proof.note(f"{what}: largest difference of two scores", f"{furthest(seen, calm):.6f}")
    return proof
