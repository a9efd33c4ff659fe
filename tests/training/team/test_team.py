"""Several processes work on one run: to the same result as one, whoever is lost on the way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from craton.core.job import JobCancelled
from craton.training.protocol import Helped, Team
from craton.training.team.helping import Helping
from craton.training.team.leading import Leading
from craton.training.team.messages import Channel, FromLeader, Hello

pytest.importorskip("torch")
pytest.importorskip("optuna")

from craton.training.methods.deep.training import train
from craton.training.search.goals import Goal
from craton.training.search.searching import search
from craton.training.specification.parts import Search
from tests.servers import RunningServer
from tests.training.memory import MemoryRun, tables
from tests.training.methods.test_deep import YES, spec, table

HERE = "127.0.0.1"
ROOT = Path(__file__).parents[3]
CHILD = """
import sys
from pathlib import Path
from tests.training.team import test_team
test_team.help_with(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
"""


class TeamRun(MemoryRun):
    """A run with the team that it is given."""

    member: Team

    def team(self, size: int, *, here: bool) -> Team:
        return self.member


def in_thread(score: Callable[[dict[str, Any], int], float]) -> Callable[[int, str, str], Callable[[], None]]:
    """Starts helpers in this process: the messages are real, the machine is one."""

    def work(leader: str, token: str) -> None:
        with suppress(Helped):
            Helping(leader, token, lambda: None).spread(score)

    def start(number: int, leader: str, token: str) -> Callable[[], None]:
        thread = threading.Thread(target=work, args=(leader, token), daemon=True)
        thread.start()
        return lambda: thread.join(10)

    return start


def fine() -> None: ...


@contextmanager
def leading(size: int, start: Any, say: Callable[[str], None] = lambda _: None, **others: Any) -> Iterator[Leading]:
    team = Leading(size, start, HERE, others.pop("check", fine), say, **others)
    try:
        yield team
    finally:
        team.close()


def test_a_search_is_spread_and_finds_what_one_process_finds(tmp_path: Path) -> None:
    places: set[str] = set()

    def scored(place: str) -> Callable[[dict[str, Any], int], float]:
        def score(params: dict[str, Any], fold: int) -> float:
            places.add(place)
            time.sleep(0.02)
            if params["x"] == 3:
                raise ValueError("3 does not work")
            return float(-((params["x"] - 5.25) ** 2)) + fold / 3

        return score

    asked, goal = Search({"x": [*range(10)]}, "grid", parallel=3), Goal("accuracy", smallest=False)
    alone = search(Search({"x": [*range(10)]}, "grid"), goal, 3, 0, scored("alone"), MemoryRun(tmp_path))
    run = TeamRun(tmp_path)
    with leading(3, in_thread(scored("there")), run.log) as team:
        run.member = team
        found = search(asked, goal, 3, 0, scored("here"), run)
    assert (found.params, found.score) == (alone.params, alone.score)
    assert places == {"alone", "there", "here"}
    assert [one.reason for one in found.trials if one.state == "failed"] == ["3 does not work"]
    assert sum("is here" in line for line in run.lines) == 2


def test_what_a_lost_helper_measured_is_measured_again() -> None:
    lines: list[str] = []

    def leaving(number: int, leader: str, token: str) -> Callable[[], None]:
        host, _, port = leader.rpartition(":")
        channel = Channel[FromLeader](socket.create_connection((host, int(port))), FromLeader)
        channel.send(Hello(token))

        def leave() -> None:
            channel.receive(fine)
            channel.close()

        thread = threading.Thread(target=leave)
        thread.start()
        return thread.join

    with leading(2, leaving, lines.append) as team:
        while not lines:
            time.sleep(0.01)
        spread = team.spread(lambda params, fold: float(params["x"] + fold))
        assert sorted(spread({"x": x}, 1) for x in range(4)) == [1.0, 2.0, 3.0, 4.0]
    assert any("was lost" in line for line in lines)


def test_strangers_are_sent_away() -> None:
    called: list[str] = []

    def stranger(number: int, leader: str, token: str) -> Callable[[], None]:
        left = threading.Event()
        with suppress(Exception):
            Helping(leader, "x" * len(token), left.set)
        assert left.wait(10)
        called.append(leader)
        return lambda: None

    with leading(2, stranger, called.append, coming=0.3) as team:
        assert team.meet() is None
    assert [line for line in called if "is here" in line] == []


def test_who_waits_for_a_helper_can_be_cancelled() -> None:
    def cancelled() -> None:
        raise JobCancelled

    with leading(2, lambda *_: fine, check=cancelled) as team, pytest.raises(JobCancelled):
        team.meet()


def test_one_that_cannot_be_started_is_not_waited_for() -> None:
    def failing(number: int, leader: str, token: str) -> Callable[[], None]:
        raise ConnectionError("no room")

    lines: list[str] = []
    started = time.monotonic()
    with leading(2, failing, lines.append) as team:
        assert team.meet() is None
    assert time.monotonic() - started < 5
    assert lines[0] == "helper 1 could not be started: no room"


def help_with(leader: str, token: str, folder: Path, batches: int) -> None:
    """What the child process below does; after so many batches it dies."""
    run = TeamRun(folder)
    run.member = Helping(leader, token, lambda: os._exit(0))
    if batches:
        left = iter(range(batches))

        def die() -> None:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        watched(die)
    with suppress(Helped):
        learn(run)
    os._exit(0)


def watched(call: Callable[[], None]) -> None:
    from craton.training.methods.deep.together import Together

    share = Together._share

    def sharing(self: Together, *arguments: Any) -> Any:
        call()
        return share(self, *arguments)

    Together._share = sharing  # type: ignore[method-assign]


def child(folder: Path, batches: int) -> Callable[[int, str, str], Callable[[], None]]:
    def start(number: int, leader: str, token: str) -> Callable[[], None]:
        variables = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        command = [sys.executable, "-c", CHILD, leader, token, str(folder), str(batches)]
        process = subprocess.Popen(command, env=variables)

        def stop() -> None:
            process.kill()
            process.wait()

        return stop

    return start


def learn(run: MemoryRun) -> Any:
    frame, fields = table(150)
    asked = spec("mlp", {"hidden": [16], "dropout": 0.0}, epochs=4, batch=32, learning_rate=0.01, patience=None)
    return train(asked, tables(frame, fields, YES, validation=frame.iloc[:30], test=frame.iloc[100:]), run)


@pytest.mark.slow
@pytest.mark.parametrize("batches", [0, 7])
def test_gradients_of_two_processes_are_those_of_one(tmp_path: Path, batches: int) -> None:
    """Also when the helper is killed in the middle: what it worked on is done again."""
    import torch

    alone, run = MemoryRun(tmp_path / "alone"), TeamRun(tmp_path / "together")
    for one in (alone, run):
        one.folder.mkdir()
    expected: Any = learn(alone).predictor
    with leading(2, child(tmp_path, batches), run.log) as team:
        run.member = team
        found: Any = learn(run).predictor
    ours, theirs = found._module.state_dict(), expected._module.state_dict()
    assert all(torch.allclose(ours[name], theirs[name], 1e-4, 1e-6) for name in theirs)
    assert run.curves["validation_loss"] == [
        (epoch, pytest.approx(value, 1e-4)) for epoch, value in alone.curves["validation_loss"]
    ]
    assert "each batch is shared by 2 processes" in run.lines
    assert run.warnings == (["A helper was lost: the run goes on alone."] if batches else [])


@pytest.mark.slow
def test_a_job_is_helped_by_a_child_of_its_own(server: RunningServer) -> None:
    document = {
        "method": "deep",
        "data": {"ref": "sklearn:wine", "target": "target"},
        "model": {"use": "mlp", "params": {"hidden": [8]}},
        "train": {"epochs": 2},
        "eval": {"report": False},
        "processes": 2,
    }
    with server.client() as client:
        job = client.post("/api/craton/v1/trainings", json=document).json()["id"]
        while (found := client.get(f"/api/craton/v1/jobs/{job}").json())["status"] in {"queued", "running"}:
            time.sleep(0.2)
        said = [event["message"] for event in client.get(f"/api/craton/v1/jobs/{job}/events").json()["events"]]
    assert found["status"] == "succeeded", found["error"]
    assert "helper 1 on 127.0.0.1 is here" in said
    assert "each batch is shared by 2 processes" in said
