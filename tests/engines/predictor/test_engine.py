"""The engine of trained models: what waits together runs together, in order; a fault hits only who made it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from craton.core.errors import InvalidRequest, ModelUnavailable, Unsupported
from craton.core.predicting import Field, PredictAnswer, PredictRequest, Signature, SnapshotRequest

np = pytest.importorskip("numpy")
pytest.importorskip("pandas")

from craton.engines.predictor.engine import PredictorEngine  # noqa: E402

pytestmark = pytest.mark.anyio
SIGNATURE = Signature(
    (Field("x", "number"),),
    {"predict": (Field("double", "number"),), "transform": (Field("half", "number"),), "learn": ()},
    Field("y", "number"),
)


class Doubling:
    """Counts its calls. A gate holds the first one; 13 breaks it."""

    signature = SIGNATURE

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.began, self.gate = threading.Event(), threading.Event()

    def run(self, verb: str, rows: Any) -> dict[str, Any]:
        self.calls.append((verb, rows["x"].tolist()))
        self.began.set()
        assert self.gate.wait(10)
        if 13 in rows["x"].tolist():
            raise RuntimeError("thirteen")
        return {"double": rows["x"].to_numpy() * 2} if verb == "predict" else {"half": rows["x"].to_numpy() / 2}

    def learn(self, rows: Any, target: list[Any]) -> dict[str, Any]:
        self.calls.append(("learn", rows["x"].tolist(), target))
        return {"seen": len(target)}

    def save(self, folder: Path) -> dict[str, Any]:
        (folder / "weights").write_text("w")
        return {"kept": True}


async def asked(engine: PredictorEngine, *values: Any, verb: Any = "predict") -> PredictAnswer:
    return await engine.predict(PredictRequest("m", verb, (list(values),)))


async def test_requests_that_wait_together_run_as_one_call() -> None:
    model = Doubling()
    engine = PredictorEngine("m", model, None)
    first = asyncio.create_task(asked(engine, 1))
    await asyncio.to_thread(model.began.wait, 10)
    others = [asyncio.create_task(asked(engine, number, number + 0.5)) for number in (2, 3, 4)]
    wrong = asyncio.create_task(asked(engine, "x"))
    left = asyncio.create_task(asked(engine, 5))
    halves = asyncio.create_task(asked(engine, 6, verb="transform"))
    learning = asyncio.create_task(engine.predict(PredictRequest("m", "learn", ([7], [8]))))
    last = asyncio.create_task(asked(engine, 9))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.sleep(0)
    model.gate.set()
    assert (await first).columns == ([2.0],)
    assert [(await other).columns for other in others] == [([4.0, 5.0],), ([6.0, 7.0],), ([8.0, 9.0],)]
    with pytest.raises(InvalidRequest, match="row 0, column 'x': 'x' is not a finite number"):
        await wrong
    assert (await halves).columns == ([3.0],)
    assert (await learning).state == {"seen": 1}
    assert (await last).columns == ([18.0],)
    assert model.calls == [
        ("predict", [1.0]),
        ("predict", [2.0, 2.5, 3.0, 3.5, 4.0, 4.5]),
        ("transform", [6.0]),
        ("learn", [7.0], [8.0]),
        ("predict", [9.0]),
    ]
    await engine.close()


async def test_when_the_library_fails_each_request_is_tried_by_itself() -> None:
    model = Doubling()
    engine = PredictorEngine("m", model, None)
    first = asyncio.create_task(asked(engine, 1))
    await asyncio.to_thread(model.began.wait, 10)
    good, bad = asyncio.create_task(asked(engine, 2)), asyncio.create_task(asked(engine, 13))
    await asyncio.sleep(0)
    model.gate.set()
    await first
    assert (await good).columns == ([4.0],)
    with pytest.raises(RuntimeError, match="thirteen"):
        await bad
    await engine.close()


async def test_no_rows_are_no_work_and_snapshots_are_written(tmp_path: Path) -> None:
    model = Doubling()
    model.gate.set()
    engine = PredictorEngine("m", model, None)
    assert (await asked(engine)).columns == ([],)
    assert model.calls == []
    saved = await engine.predict(SnapshotRequest("m", str(tmp_path)))
    assert saved.state == {"parameters": {"kept": True}}
    assert (tmp_path / "weights").read_text() == "w"
    with pytest.raises(Unsupported):
        await asked(engine, 1, verb="act")
    await engine.close()
    with pytest.raises(ModelUnavailable):
        await asked(engine, 1)
