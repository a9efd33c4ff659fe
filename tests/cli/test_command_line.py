"""What holds for the whole command line: help, completion, quick starts, output that does what it says."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from craton.cli.durations import Duration
from craton.cli.main import COMMANDS, main
from craton.cli.models_pull import default_name
from craton.cli.output import human_bytes, human_span, print_fields, print_table, printable, wrapped
from craton.cli.wrapping import Wrapping
from tests.servers import RunningServer

HEAVY = ("craton.app.build", "sqlalchemy", "botocore", "uvicorn", "httpx", "alembic", "numpy", "rich.progress")


def test_every_command_has_help_with_an_example() -> None:
    for name in COMMANDS:
        done = CliRunner().invoke(main, [name, "--help"], prog_name="CRATON")
        assert done.exit_code == 0, done.output
        if "COMMAND" not in done.output.splitlines()[0]:  # groups have theirs one level down
            assert "craton " in done.output, name


def test_help_and_commands_import_nothing_heavy() -> None:
    """`craton.cli.learn` is imported too: help shows every command's first line."""
    code = (
        "import sys, json, click\nfrom craton.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\nprint(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert {name for name in HEAVY if name in loaded} == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shells_completion_script_names_craton(shell: str) -> None:
    if shell == "bash":
        pytest.importorskip("pty")
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert "_CRATON_COMPLETE" in done.stdout


def test_names_of_models_complete_while_a_server_runs(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    completion = BashComplete(main, {}, "craton", "_CRATON_COMPLETE")
    monkeypatch.setenv("CRATON_HOME", str(server.home))
    assert [item.value for item in completion.get_completions(["chat", "--model"], "ec")] == ["echo"]
    monkeypatch.setenv("CRATON_HOME", str(server.home / "nothing"))
    assert completion.get_completions(["chat", "--model"], "ec") == []
    assert [item.value for item in completion.get_completions(["models", "pull"], "smol")] == ["smollm2-135m-instruct"]


def test_a_table_shows_strangers_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME", "SIZE"), [("[red]x[/red]\x1b[2J", 5), ("y", 10)], "nothing", right=("SIZE",))
    out = capsys.readouterr().out
    assert out.splitlines() == ["NAME             SIZE", "[red]x[/red][2J     5", "y                  10"]
    print_table(("NAME",), [], "Make one: craton make")
    assert capsys.readouterr() == ("", "Make one: craton make\n")
    print_fields({"URL": "http://127.0.0.1/" + "x" * 200, "Nothing": None})
    assert capsys.readouterr().out == f"URL  http://127.0.0.1/{'x' * 200}\n"


def test_control_characters_are_taken_out() -> None:
    assert printable("a\x1b[31mb\x07\x9b2J\n\tc") == "a[31mb2J\n\tc"


def test_lines_break_between_words_however_the_text_arrives() -> None:
    text = "The quick brown fox jumps\nover a verylongwordindeed and 漢字漢字 here "
    whole = Wrapping(10)
    expected = whole.feed(text) + whole.end()
    pieces = Wrapping(10)
    assert "".join(pieces.feed(letter) for letter in text) + pieces.end() == expected
    assert "".join(expected.split()) == "".join(text.split())
    assert expected.splitlines()[:4] == ["The quick ", "brown fox ", "jumps", "over a "]


def test_what_is_piped_is_not_wrapped() -> None:
    assert wrapped("word " * 100, io.StringIO()) == "word " * 100


def test_sizes_and_spans_are_told_for_people() -> None:
    assert [human_bytes(size) for size in (12, 1536, 3 * 2**40)] == ["12 B", "1.5 KiB", "3.0 TiB"]
    spans = [human_span(seconds) for seconds in (0.0123, 3.21, 75, 7500, 200_000)]
    assert spans == ["12 ms", "3.2 s", "1 min 15 s", "2 h 5 min", "2 d 7 h"]
    assert [Duration().convert(text, None, None) for text in ("90s", "1.5h", "7 d")] == [90, 5400, 604_800]


def test_a_file_without_a_name_for_it_gets_one_that_a_repository_may_have() -> None:
    assert default_name(Path("/x/My model (1).gguf")) == "local/My-model-1"
    assert default_name(Path("/x/...")) == "local/model"
