"""The runner: what fails is told, what runs is bounded, and a check must be able to fail."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from craton.lessons.playing import clean_up, play, recheck
from craton.lessons.showing import Quiet
from craton.lessons.steps import Result
from craton.lessons.words import Lesson, Step

Read = Callable[[str], Lesson]

SEEN = """\
```python run name=see
open("seen", "w").write("both")
print("Outcome: both")
```
```python check name=both
assert open("seen").read() == "both", "not both"
```
"""
SPOIL = """\
```python break name=spoil breaks=both
open("seen", "w").write("{}")
```
"""


class Watching(Quiet):
    """Keeps what a learner would have seen."""

    def __init__(self) -> None:
        self.shown: list[tuple[float, str]] = []
        self.results: dict[str, Result] = {}

    def output(self, text: str) -> None:
        self.shown.append((time.monotonic(), text))

    def ended(self, step: Step, result: Result) -> None:
        self.results[step.name] = result


def test_a_check_that_passes_passes_the_lesson(lesson: Read, folder: Path, environment: dict[str, str]) -> None:
    played = play(lesson(SEEN), folder, environment, Quiet())
    assert (played.passed, played.failed) == (("both",), "")


def test_a_check_that_fails_fails_the_lesson(lesson: Read, folder: Path, environment: dict[str, str]) -> None:
    played = play(lesson(SEEN.replace('write("both")', 'write("one")')), folder, environment, Quiet())
    assert (played.passed, played.failed, played.reason) == ((), "both", "AssertionError: not both")


def test_a_step_that_fails_ends_the_lesson(lesson: Read, folder: Path, environment: dict[str, str]) -> None:
    played = play(lesson("```sh run name=stumble\necho why >&2\nexit 3\n```\n" + SEEN), folder, environment, Quiet())
    assert (played.failed, played.reason) == ("stumble", "why")
    assert not (folder / "seen").exists()


def test_a_break_leaves_what_was_seen_as_it_was(lesson: Read, folder: Path, environment: dict[str, str]) -> None:
    broken = lesson(SEEN + SPOIL.format("one"))
    assert play(broken, folder, environment, Quiet()).failed == ""
    assert (folder / "seen").read_text() == "both"
    assert recheck(broken, folder, environment, Quiet()).passed == ("both",)


def test_a_check_that_does_not_notice_a_break_fails_the_lesson(
    lesson: Read, folder: Path, environment: dict[str, str]
) -> None:
    played = play(lesson(SEEN + SPOIL.format("both")), folder, environment, Quiet())
    assert (played.failed, played.reason) == ("spoil", "the check 'both' did not notice")


def test_a_check_run_again_sees_what_is_there_now(lesson: Read, folder: Path, environment: dict[str, str]) -> None:
    played = lesson(SEEN)
    play(played, folder, environment, Quiet())
    (folder / "seen").write_text("nothing")
    assert recheck(played, folder, environment, Quiet()).failed == "both"


def test_a_step_that_does_not_end_is_stopped(lesson: Read, folder: Path, environment: dict[str, str]) -> None:
    endless = lesson("```sh run name=wait seconds=1\nsleep 60 & echo $! > child\nwait\n```\n" + SEEN)
    began = time.monotonic()
    played = play(endless, folder, environment, Quiet())
    assert (played.failed, played.reason) == ("wait", "Stopped: it ran longer than 1 seconds.")
    assert time.monotonic() - began < 30
    child = int((folder / "child").read_text())
    for _ in range(100):
        if not _runs(child):
            break
        time.sleep(0.05)
    assert not _runs(child), "a child of the step still runs"


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_output_is_shown_as_it_comes(lesson: Read, folder: Path, environment: dict[str, str]) -> None:
    watching = Watching()
    slow = "```python run name=slow\nimport time\nprint('early', flush=True)\ntime.sleep(0.5)\nprint('late')\n```\n"
    play(lesson(slow + SEEN), folder, environment, watching)
    times = {text.strip(): at for at, text in watching.shown}
    assert times["late"] - times["early"] > 0.2


def test_output_cannot_command_the_terminal(lesson: Read, folder: Path, environment: dict[str, str]) -> None:
    watching = Watching()
    play(
        lesson("```python run name=sly\nprint('\\x1b]0;gotcha\\x07fine\\x9b2J')\n```\n" + SEEN),
        folder,
        environment,
        watching,
    )
    assert watching.results["sly"].output == "]0;gotchafine2J\n"


def test_a_step_never_shadows_a_library(lesson: Read, folder: Path, environment: dict[str, str]) -> None:
    played = play(
        lesson("```python run name=json\nimport json\njson.dumps(1)\n```\n" + SEEN), folder, environment, Quiet()
    )
    assert played.failed == ""


def test_the_outcome_stands_beside_the_prediction(lesson: Read, folder: Path, environment: dict[str, str]) -> None:
    class Learner(Quiet):
        compared_with: tuple[str, str] | None = None

        def predict(self, prediction: object) -> str:
            return "one"

        def compared(self, predicted: str, outcome: str) -> None:
            self.compared_with = (predicted, outcome)

    learner = Learner()
    played = play(lesson("```text predict kind=text\nOne or both?\n```\n" + SEEN), folder, environment, learner)
    assert learner.compared_with == ("one", "both")
    assert played.predictions == {"One or both?": "one"}


def test_clean_up_runs_and_removes_the_folder(lesson: Read, folder: Path, environment: dict[str, str]) -> None:
    tidy = lesson(SEEN + "```sh cleanup name=away\necho gone > ../gone\n```\n")
    play(tidy, folder, environment, Quiet())
    assert not (folder.parent / "gone").exists()
    clean_up(tidy, folder, environment, Quiet())
    assert not folder.exists()
    assert (folder.parent / "gone").read_text() == "gone\n"


def test_steps_find_this_installations_python(lesson: Read, folder: Path) -> None:
    watching = Watching()
    which = "```sh run name=which\npython -c 'import sys; print(sys.prefix)'\n```\n"
    play(lesson(which + SEEN), folder, {"PATH": os.defpath}, watching)
    import sys

    assert watching.results["which"].output.strip() == sys.prefix
