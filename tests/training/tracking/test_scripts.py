"""Programs of users' own as runs: they run here, the server keeps what they tell, and never starts one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from craton.app.jobs import handlers
from craton.app.platform import Platform
from craton.cli.jobs_compare import sparkline
from craton.cli.script_child import Lines
from craton.cli.source import source_of
from craton.core.errors import Conflict, InvalidRequest, NotFound, TooLarge
from craton.core.job import Job
from craton.jobs.queue import Jobs
from craton.jobs.running import run as run_job
from craton.store.database import Database
from craton.training.tracking.reading import Runs
from craton.training.tracking.recorder import forget_points
from craton.training.tracking.scripts import HELD, Scripts
from craton.training.tracking.telling import Begin, End, Line, Told, ToldPoint, points_of, told_by
from tests.cli.conftest import Craton, inside
from tests.migrated import upgrade
from tests.servers import RunningServer

ROOT = "/api/craton/v1"
TENANT = "acme"
T = TypeVar("T")
PROGRAM = """
import json, os, sys, pathlib, urllib.request
print("craton-parameter", json.dumps({"rate": float(sys.argv[1])}))
for step in range(5):
    print("craton-metric", json.dumps({"loss": 1 / (1 + step), "step": step}))
print("craton-metric", json.dumps({"accuracy": 0.75, "oddity": float("nan")}))
print("half a line", end="")
print("\\nto the other stream", file=sys.stderr)
asked = urllib.request.Request(
    f"{os.environ['CRATON_URL']}/api/craton/v1/runs/{os.environ['CRATON_RUN_ID']}/metrics",
    b'{"by_hand": 2.5, "step": 7}',
    {"authorization": "Bearer " + os.environ["CRATON_API_KEY"], "content-type": "application/json"},
)
urllib.request.urlopen(asked).read()
output = pathlib.Path(os.environ["CRATON_OUTPUT_FOLDER"])
(output / "weights.txt").write_text("17")
(output / "seen.json").write_text(json.dumps({"data": os.environ["CRATON_DATA"]}))
"""


class World:
    def __init__(self, database: Database) -> None:
        upgrade(database)
        numbers = count(1)
        self.now = 1000.0
        self.jobs = Jobs(database, lambda: self.now, lambda: f"run{next(numbers):04d}")
        self.scripts = Scripts(database, self.jobs, self._find, lambda: self.now)
        self.runs = Runs(database, self.jobs)

    def begin(self, **more: Any) -> Job:
        return self.scripts.begin(TENANT, Begin(command=["python", "train.py"], **more))

    @staticmethod
    def _find(tenant: str, kind: str, path: str, revision: str) -> str:
        if path == "acme/absent":
            raise NotFound(kind, path)
        return f"{revision}-in-full"


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_a_run_is_what_it_told(world: World) -> None:
    run = world.begin(data="acme/rows@main", output="acme/mine", source={"commit": "c0ffee"})
    assert (run.status, run.kind) == ("running", "script")
    steps = [ToldPoint("loss", 1 / (1 + step), step) for step in range(10)]
    world.scripts.hear(TENANT, run.id, Told(points=steps, lines=[Line("epoch 1")]))
    world.scripts.hear(TENANT, run.id, Told(points=[ToldPoint("f1", "NaN")], parameters={"rate": 0.1}))
    world.scripts.hear(TENANT, run.id, Told(parameters={"depth": 3}))
    world.scripts.end(TENANT, run.id, End(0, model="acme/mine", revision="abc", cost={"seconds": 3.0}))
    found = world.runs.get(TENANT, run.id)
    assert found.status == "succeeded"
    assert found.figures == {"f1": "NaN"}
    assert world.runs.curve(TENANT, run.id, "loss").values == [point.value for point in steps]
    assert found.facts["parameters"] == {"rate": 0.1, "depth": 3}
    assert found.facts["cost"] == {"seconds": 3.0}
    assert [event.message for event in world.jobs.events(TENANT, run.id)] == ["epoch 1"]
    assert (found.model, found.model_revision) == ("acme/mine", "abc-in-full")
    origin = world.runs.origin_of(TENANT, "acme/mine", "abc-in-full")
    assert origin is not None
    assert (origin["dataset"], origin["dataset_revision"]) == ("acme/rows", "main-in-full")
    assert [link["run"] for link in world.runs.models_of(TENANT, "acme/rows", "main-in-full")] == [run.id]


def test_programs_that_fail_or_are_stopped_say_so(world: World) -> None:
    how = {
        "The command ended with exit code 3.": End(3),
        "The command was ended by signal 9.": End(-9),
        "the disk was full": End(0, error="the disk was full"),
    }
    for error, end in how.items():
        ended = world.scripts.end(TENANT, world.begin().id, end)
        assert (ended.status, ended.error) == ("failed", error)
    assert world.scripts.end(TENANT, world.begin().id, End(-2, cancelled=True)).status == "cancelled"


def test_no_executor_takes_a_run_whose_program_is_heard(world: World) -> None:
    run = world.begin()
    for _ in range(5):
        assert world.jobs.leases.claim() is None
        world.now += HELD - 1
        world.scripts.hear(TENANT, run.id, Told())
    assert world.jobs.leases.claim(run.id) is None


@pytest.mark.anyio
async def test_a_silent_one_is_found_lost_and_nothing_of_it_is_run(world: World, platform_of_nothing: Platform) -> None:
    run = world.begin()
    world.now += HELD + 1
    assert await run_job(world.jobs, run.id, handlers(platform_of_nothing))
    found = world.jobs.get(TENANT, run.id)
    assert found.status == "failed"
    assert "nothing was heard of its command for 120 seconds" in found.error
    with pytest.raises(Conflict, match="it has ended"):
        world.scripts.hear(TENANT, run.id, Told())
    with pytest.raises(Conflict, match="it has ended"):
        world.scripts.end(TENANT, run.id, End(0))


@pytest.fixture
def platform_of_nothing() -> Platform:
    """Handlers take what they need from it when they run; this one's needs nothing."""
    return object()  # type: ignore[return-value]


def test_whoever_asks_for_its_end_is_heard_by_the_program(world: World) -> None:
    run = world.begin()
    assert not world.scripts.hear(TENANT, run.id, Told()).cancelling
    world.jobs.cancel(TENANT, run.id)
    assert world.scripts.hear(TENANT, run.id, Told()).cancelling


def test_points_go_with_their_job_and_where_a_model_comes_from_stays(world: World) -> None:
    world.jobs.forgetting(forget_points)
    kept, old = world.begin(), world.begin(data="acme/rows@main")
    for run in (kept, old):
        world.scripts.hear(TENANT, run.id, Told(points=[ToldPoint("loss", 1.0, 0)]))
    world.scripts.end(TENANT, old.id, End(0, model="acme/mine", revision="abc"))
    assert world.jobs.sweep(world.now + 1) == 1
    assert world.runs.after(TENANT, old.id, 0) == []
    assert len(world.runs.after(TENANT, kept.id, 0)) == 1
    assert world.runs.origin_of(TENANT, "acme/mine", "abc-in-full") is not None


def test_what_is_sent_again_is_kept_once(world: World) -> None:
    """A tracker whose answer was lost cannot know whether it was heard."""
    run = world.begin()
    for batch in (1, 1, 2, 1, 2):
        step = ToldPoint("loss", 1.0, batch)
        world.scripts.hear(TENANT, run.id, Told(batch, [step], lines=[Line(f"batch {batch}")]))
    assert world.runs.curve(TENANT, run.id, "loss").steps == [1, 2]
    assert [event.message for event in world.jobs.events(TENANT, run.id)] == ["batch 1", "batch 2"]


def test_bad_words_are_refused(world: World) -> None:
    with pytest.raises(NotFound, match="dataset"):
        world.begin(data="acme/absent@main")
    with pytest.raises(InvalidRequest, match="namespace/name"):
        world.begin(data="rows")
    run = world.begin()
    with pytest.raises(NotFound):
        world.scripts.hear("another", run.id, Told())
    with pytest.raises(NotFound, match="model"):
        world.scripts.end(TENANT, run.id, End(0, model="acme/absent", revision="main"))
    with pytest.raises(TooLarge, match="facts"):
        world.scripts.hear(TENANT, run.id, Told(parameters={"much": "x" * 300_000}))
    assert world.jobs.get(TENANT, run.id).status == "running"


def test_lines_of_output_say_figures() -> None:
    told = told_by('craton-metric {"loss": 0.5, "f1": NaN, "step": 3}')
    assert told == Told(points=[ToldPoint("loss", 0.5, 3), ToldPoint("f1", "NaN", 3)])
    assert told_by('  craton-parameter {"rate": 0.1}\n') == Told(parameters={"rate": 0.1})
    assert told_by("craton-metrics are nice") is None
    assert points_of([{"a": 1}, {"b": 2, "step": 0}]) == [ToldPoint("a", 1.0), ToldPoint("b", 2.0, 0)]
    for bad in ("craton-metric 3", 'craton-metric {"a": "high"}', "craton-metric {", "craton-parameter [1]"):
        with pytest.raises(InvalidRequest):
            told_by(bad)


def test_output_is_heard_by_the_line_as_a_terminal_shows_it() -> None:
    lines = Lines()
    assert [*lines.feed(b"one\ntw")] == ["one"]
    assert [*lines.feed(b"o\r\n 10%\r 20%\r 30%\n\xff")] == ["two", " 30%"]
    assert [*lines.end(), *lines.end()] == ["\N{REPLACEMENT CHARACTER}"]
    assert [*lines.feed(b"x" * 1_000_000 + b"\n")] == ["x" * 65_536]


# Through a real server


@pytest.fixture(scope="module")
def run(server: RunningServer) -> Craton:
    return inside(server.environment)


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("program") / "train.py"
    file.write_text(PROGRAM)
    return str(file)


@pytest.fixture(scope="module")
def rows(run: Craton, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The revision of a dataset."""
    file = tmp_path_factory.mktemp("rows") / "rows.csv"
    file.write_text("x,y\n1,2\n3,4\n")
    return str(json.loads(run("datasets", "add", "acme/seen", str(file), "--no-check", "--json").stdout)["revision"])


def soon(read: Callable[[], T | None]) -> T:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        found = read()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_a_program_of_ones_own_ends_as_a_model(run: Craton, client: httpx.Client, program: str, rows: str) -> None:
    told = ("--output", "acme/handmade", "--data", "acme/seen@main", "--", sys.executable, program, "0.1")
    done = run("train", "--json", *told)
    job = json.loads(done.stdout)
    assert job["status"] == "succeeded"
    assert job["result"]["metrics"] == {"accuracy": 0.75, "oddity": "NaN"}
    assert "to the other stream" in done.stderr
    found = client.get(f"{ROOT}/runs/{job['id']}").json()
    assert found["facts"]["parameters"] == {"rate": 0.1}
    assert found["facts"]["environment"]["libraries"]["pytest"]
    assert found["facts"]["cost"]["processor_seconds"] > 0
    assert sorted(found["curves"]) == ["by_hand", "loss"]
    log = [event["message"] for event in client.get(f"{ROOT}/jobs/{job['id']}/events").json()["events"]]
    assert sorted(log) == ["half a line", "to the other stream"]

    revision = job["result"]["revision"]
    seen = client.get(f"/acme/handmade/resolve/{revision}/seen.json", follow_redirects=True).json()
    assert seen == {"data": f"datasets/acme/seen@{rows}"}
    traced = json.loads(run("trace", f"acme/handmade@{revision}", "--json").stdout)
    assert traced["run"]["id"] == job["id"]
    assert "acme/handmade" in run("trace", "datasets/acme/seen").stdout
    shown = run("trace", "acme/handmade").stdout
    assert f"datasets/acme/seen@{rows}" in shown


def test_a_folder_is_known_by_its_commit(tmp_path: Path) -> None:
    assert source_of(tmp_path) == {}

    def git(*words: str) -> None:
        names = ("-c", "user.name=me", "-c", "user.email=me@example.com")
        subprocess.run(["git", "-C", str(tmp_path), *names, *words], check=True, capture_output=True)

    git("init", "--initial-branch", "work")
    (tmp_path / "train.py").write_text("print(1)")
    git("add", ".")
    git("commit", "--message", "one")
    found = source_of(tmp_path)
    assert (len(found.pop("commit")), found) == (40, {"branch": "work", "changed": 0})
    (tmp_path / "train.py").write_text("print(2)")
    assert source_of(tmp_path)["changed"] == 1


def test_curves_are_shown_as_bars() -> None:
    assert sparkline([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]) == "▁▂▃▄▅▆▇█"
    assert sparkline([2.0, 2.0]) == "▄▄"
    assert sparkline([-1.7e308, 1.7e308]) == "▁█"
    assert len(sparkline([float(n) for n in range(1000)])) <= 24


def test_two_programs_are_set_side_by_side(run: Craton, client: httpx.Client, program: str) -> None:
    ids = [json.loads(run("train", "--json", "--", sys.executable, program, rate).stdout)["id"] for rate in "12"]
    found = json.loads(run("jobs", "compare", "--json", *ids).stdout)
    assert found["parameters"]["rate"] == [1.0, 2.0]
    assert found["figures"]["accuracy"] == [0.75, 0.75]
    shown = run("jobs", "show", ids[0]).stdout
    assert "accuracy" in shown
    assert "█▃▂▁▁ 0.2" in shown
    assert [run["id"] for run in client.get(f"{ROOT}/runs?limit=2").json()["runs"]] == ids[::-1]


def test_the_exit_code_is_the_commands(run: Craton, client: httpx.Client) -> None:
    done = run("train", "--", sys.executable, "-c", "print('so far'); raise SystemExit(7)", check=False)
    assert done.returncode == 7
    assert "so far" in done.stdout
    last = client.get(f"{ROOT}/runs?limit=1").json()["runs"][0]
    assert (last["status"], last["error"]) == ("failed", "The command ended with exit code 7.")
    assert run("train", "--", "no-such-command", check=False).returncode != 0
    assert run("train", check=False).returncode == 2
    assert run("train", "--output", "acme/x", __file__, check=False).returncode == 2


@pytest.mark.parametrize("how", ["cancel", "interrupt"])
def test_it_can_be_asked_to_stop(run: Craton, client: httpx.Client, server: RunningServer, how: str) -> None:
    tracker = begun(server, "import time; print('begun', flush=True); time.sleep(60)")
    job = soon(lambda: next((it for it in client.get(f"{ROOT}/jobs?status=running").json()["jobs"]), None))
    soon(lambda: client.get(f"{ROOT}/jobs/{job['id']}/events").json()["events"])
    if how == "cancel":
        run("jobs", "cancel", job["id"])
    else:  # as a terminal does: to all of the group
        os.killpg(tracker.pid, signal.SIGINT)
    assert tracker.wait(30) in {128 + signal.SIGTERM, 128 + signal.SIGINT}
    assert client.get(f"{ROOT}/runs/{job['id']}").json()["status"] == "cancelled"


def begun(server: RunningServer, code: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "craton", "train", "--", sys.executable, "-c", code]
    return subprocess.Popen(
        command,
        env=dict(server.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
