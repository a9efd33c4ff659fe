"""Shows a lesson in a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable

from rich.console import Console
from rich.markdown import Markdown
from rich.prompt import FloatPrompt, IntPrompt, Prompt
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

from craton.lessons.playing import Left
from craton.lessons.steps import Result
from craton.lessons.words import Lesson, Prediction, Step

WIDTH = 100  # columns that are good to read
MARK = {"run": "▶", "check": "✔", "break": "✘", "cleanup": "▶"}
HEADINGS = {"run": "Run", "check": "Check", "break": "Break it", "cleanup": "Clean up"}


class Quiet:
    """A Stage that nobody watches."""

    def prose(self, text: str) -> None: ...

    def predict(self, prediction: Prediction) -> str:
        return ""

    def ready(self, step: Step) -> None: ...

    def output(self, text: str) -> None: ...

    def ended(self, step: Step, result: Result) -> None: ...

    def compared(self, predicted: str, outcome: str) -> None: ...

    def noticed(self, step: Step, result: Result) -> None: ...


class Terminal:
    """A Stage. interactive: predictions are asked for, and a key is waited for before each step."""

    def __init__(self, console: Console, *, interactive: bool) -> None:
        self._console, self._interactive = console, interactive
        self._gutter = Gutter(self._write, self._columns - 2)

    @property
    def _columns(self) -> int:
        return min(self._console.width, WIDTH)

    def title(self, lesson: Lesson) -> None:
        line = f"{lesson.name} · about {lesson.minutes} minutes"
        self._console.print(Rule(Text(line, style="dim"), style="cyan"), width=self._columns)

    def prose(self, text: str) -> None:
        self._console.print()
        self._console.print(Markdown(text, code_theme="ansi_dark", hyperlinks=False), width=self._columns)

    def predict(self, prediction: Prediction) -> str:
        if not self._interactive:
            return ""
        self._console.print(Text.assemble(("\nPredict  ", "bold magenta"), prediction.question))
        for number, choice in enumerate(prediction.choices, 1):
            self._console.print(Text(f"  {number}  {choice}"))
        try:
            if prediction.kind == "choice":
                numbers = [str(number) for number in range(1, len(prediction.choices) + 1)]
                picked = IntPrompt.ask("Your guess", console=self._console, choices=numbers)
                return prediction.choices[picked - 1]
            if prediction.kind == "number":
                return f"{FloatPrompt.ask('Your guess', console=self._console):g}"
            return Prompt.ask("Your guess", console=self._console)
        except (EOFError, KeyboardInterrupt) as gone:
            raise Left from gone

    def ready(self, step: Step) -> None:
        heading = (f"\n{MARK[step.role]} {HEADINGS[step.role]}", "bold cyan")
        self._console.print(Text.assemble(heading, (f"  {step.file}", "dim")))
        lexer = "python" if step.language == "python" else "sh"
        self._console.print(
            Syntax(step.code.rstrip(), lexer, theme="ansi_dark", background_color="default", word_wrap=True)
        )
        if self._interactive:
            self._wait()
        self._console.print()

    def output(self, text: str) -> None:
        self._gutter.feed(text)

    def ended(self, step: Step, result: Result) -> None:
        self._gutter.flush()
        took = f"{result.seconds:.1f} s"
        if step.role == "check":
            self._console.print(
                _verdict(result.passed, f"{step.name}: passed" if result.passed else f"{step.name}: failed", took)
            )
        elif not result.passed:
            self._console.print(_verdict(False, f"{step.name} ended with {result.status}", took))
        else:
            self._console.print(Text(f"  {took}", style="dim"))

    def compared(self, predicted: str, outcome: str) -> None:
        if predicted:
            self._console.print(Text.assemble("  You predicted  ", (predicted, "bold magenta")))
            self._console.print(Text.assemble("  It was         ", (outcome, "bold")))

    def noticed(self, step: Step, result: Result) -> None:
        if result.passed:
            self._console.print(_verdict(False, f"{step.breaks} still passes, and it should not", ""))
        else:
            self._console.print(_verdict(True, f"{step.breaks} fails now, as it should: {result.last_line}", ""))

    def _wait(self) -> None:
        try:
            answer = Prompt.ask(
                Text("Enter runs it, q leaves", style="dim"), console=self._console, default="", show_default=False
            )
        except (EOFError, KeyboardInterrupt) as gone:
            raise Left from gone
        if answer.strip().lower() in {"q", "quit"}:
            raise Left

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()


class Gutter:
    """Wraps text at words while it comes in pieces, with a line at its left. columns: what fits beside that line."""

    def __init__(self, write: Callable[[str], None], columns: int) -> None:
        self._write, self._columns = write, max(columns, 20)
        self._held, self._column = "", 0
        self._begun = False

    def feed(self, text: str) -> None:
        """Everything but the last word is written; that one may go on."""
        *whole, self._held = re.split(r"(?<=\s)", self._held + text)
        for word in whole:
            self._put(word)

    def flush(self) -> None:
        self._put(self._held)
        if self._begun:
            self._write("\n")
        self._held, self._column, self._begun = "", 0, False

    def _put(self, word: str) -> None:
        bare = word.rstrip()
        if self._begun and self._column + len(bare) > self._columns and self._column > 0:
            self._write("\n")
            self._begun = False
        if not self._begun and word:
            self._write("│ ")
            self._begun, self._column = True, 0
        if word.endswith("\n"):
            self._write(f"{bare}\n")
            self._begun = False
        else:
            self._write(word)
            self._column += len(word)


def _verdict(good: bool, sentence: str, took: str) -> Text:
    mark = ("  ✔ ", "bold green") if good else ("  ✘ ", "bold red")
    return Text.assemble(mark, (sentence, "green" if good else "red"), (f"  {took}" if took else "", "dim"))
