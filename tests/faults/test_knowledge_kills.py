"""kill -9 while documents are brought in: whatever dies, and whenever, what comes out is what an undisturbed run gives.
(`make proof` does it a hundred times.)"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from tests.app.knowing import Aws, Source, keys
from tests.faults.seen import wait_until
from tests.proof.ingestion import RARITY, VICTIMS, differences, storm
from tests.servers import serving


@pytest.mark.slow
def test_ingestions_that_are_killed_leave_the_index_of_an_undisturbed_one(tmp_path: Path) -> None:
    told, stormy, rebuilt, calm = storm(tmp_path, 60, 7, random.Random(), longest=1.0)
    assert told.kills.total() == 7
    assert told.failed == []
    assert told.orphans == 0
    assert set(calm.ledger.values()) == {"INDEXED"}
    assert differences(stormy, calm, RARITY) == []
    assert differences(rebuilt, calm) == []
    assert calm.points == calm.rows["knowledge_pieces"] > 60
    assert set(told.kills) <= set(VICTIMS)


def found(source: Source) -> list[tuple[str, float]]:
    """Nothing while the index is being built again, which the server says."""
    try:
        results = source.base.retrieve("What is document 3 about?", overrideSearchType="HYBRID")
    except source.aws.runtime.exceptions.ThrottlingException:
        return []
    return sorted((key, round(result["score"], 4)) for key, result in zip(keys(results), results, strict=True))


@pytest.mark.slow
def test_an_index_that_is_deleted_under_a_running_server_is_built_again(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        source = Aws(server).base().filled({f"{number}.txt": f"Document {number} is here." for number in range(30)})
        before = found(source)
        assert len(before) == 30
        for path in (server.home / "indexes").iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        source.put("new.txt", "Document new is here.")
        source.ingest()
        wait_until(lambda: len(found(source)) == 31, 120)
        assert {key for key, _ in before} < {key for key, _ in found(source)}


@pytest.mark.slow
def test_reindexing_answers_as_before_and_goes_on_answering_meanwhile(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        source = Aws(server).base().filled({f"{number}.txt": f"Document {number} is here." for number in range(30)})
        before = found(source)
        job = json.loads(server.craton("kb", "reindex", source.base.id, "--json").stdout)["job"]

        def done() -> bool:
            assert found(source) == before
            seen = json.loads(server.craton("jobs", "show", job, "--json").stdout)
            assert seen["status"] in {"queued", "running", "succeeded"}
            return bool(seen["status"] == "succeeded")

        wait_until(done, 120)
        assert found(source) == before
