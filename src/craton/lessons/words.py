"""What a lesson is: prose and blocks, in the order in which they are read."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Role = Literal["run", "check", "break", "cleanup"]

STEP_SECONDS = 120.0


class Prose(Struct, frozen=True):
    """Markdown between the executed blocks, shown as it is. Code in it is shown and never run."""

    text: str


class Prediction(Struct, frozen=True):
    """A question to answer before the next step runs. choices: what may be picked (kind "choice")."""

    kind: Literal["choice", "number", "text"]
    question: str
    choices: tuple[str, ...] = ()


class Step(Struct, frozen=True):
    """Code that is run as a child process, in the lesson's folder.

    run: shows something. check: passes when it ends with status 0. break: damages what the check named by `breaks`
    looks at, which must then fail. cleanup: puts the server back as it was.
    rows: the guide's rows that a check helps to prove. line: where the block begins in the lesson's file.
    """

    role: Role
    language: Literal["python", "sh"]
    name: str
    code: str
    line: int
    seconds: float = STEP_SECONDS
    rows: tuple[str, ...] = ()
    breaks: str = ""

    @property
    def file(self) -> str:
        return f"step-{self.name}.{'py' if self.language == 'python' else 'sh'}"


Part = Prose | Prediction | Step


class Lesson(Struct, frozen=True):
    """models: names that the server must answer to. packages: libraries that the code imports. config: what the
    server's config.toml must say, as TOML."""

    name: str
    title: str
    minutes: int
    models: tuple[str, ...]
    packages: tuple[str, ...]
    parts: tuple[Part, ...]
    config: str = ""

    def steps(self, role: Role) -> tuple[Step, ...]:
        return tuple(part for part in self.parts if isinstance(part, Step) and part.role == role)

    def check(self, name: str) -> Step:
        return next(step for step in self.steps("check") if step.name == name)
