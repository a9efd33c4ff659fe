"""`craton chat` with one question, and `craton trace` of it."""

from __future__ import annotations

import json

from tests.cli.conftest import Craton, eventually, traced
from tests.servers import RunningServer


def test_the_answer_alone_stands_on_stdout(scripted: RunningServer) -> None:
    done = scripted.craton("chat", "--model", "echo", "hello [bold]there")
    assert (done.stdout, done.stderr) == ("hello [bold]there\n", "")


def test_a_prompt_may_be_piped_in(scripted: RunningServer) -> None:
    assert scripted.craton("chat", "-m", "echo", stdin="from a pipe\n").stdout == "from a pipe\n"


def test_json_gives_the_whole_answer_with_usage_and_the_id_that_trace_takes(scripted: RunningServer) -> None:
    asked = ("chat", "-m", "echo", "-s", "be short", "--max-tokens", "50", "--seed", "7", "--temperature", "0")
    answer = json.loads(scripted.craton(*asked, "hello there", "--json").stdout)
    assert answer["text"] == "hello there"
    assert answer["stop"] == "stop"
    assert answer["usage"] == {"input_tokens": 4, "output_tokens": 2}
    trace = json.loads(traced(scripted.craton, answer["request_id"], "--json"))
    assert trace["row"]["resolved"] == "echo"
    assert trace["request"]["sampling"] == {"max_tokens": 50, "seed": 7, "temperature": 0.0}
    assert trace["request"]["system"] == [{"type": "text", "text": "be short"}]
    text = scripted.craton("trace", f"chatcmpl-{answer['request_id']}").stdout
    for part in ("be short", "hello there", "4 in, 2 out", "openai CreateChatCompletion", "default", "8e-06"):
        assert part in text, part


def test_thoughts_do_not_reach_a_pipe(near_scripted: Craton) -> None:
    assert near_scripted("chat", "-m", "echo", "think").stdout == "done thinking\n"


def test_an_answer_that_breaks_off_keeps_what_there_was_and_fails(near_scripted: Craton) -> None:
    done = near_scripted("chat", "-m", "echo", "break", check=False)
    assert done.returncode == 1
    assert done.stdout.split() == ["one", "two"]
    assert "out of memory" in done.stderr
    eventually(lambda: "ModelFailed" in near_scripted("trace", "-n", "1").stdout)
    assert json.loads(near_scripted("trace", "--json", "-n", "1").stdout)["requests"][0]["status"] == "error"


def test_without_a_model_the_echo_answers_and_says_what_to_fetch(near_scripted: Craton) -> None:
    done = near_scripted("chat", "hello")
    assert done.stdout == "hello\n"
    assert "craton models pull --starters" in done.stderr


def test_an_unknown_model_is_an_error_that_says_what_to_do(near_scripted: Craton) -> None:
    done = near_scripted("chat", "-m", "nope", "hello", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "craton models list" in done.stderr


def test_an_empty_prompt_and_a_bad_option_are_usage_errors(near_scripted: Craton) -> None:
    assert near_scripted("chat", "  ", check=False).returncode == 2
    assert near_scripted("chat", "hi", "--max-tokens", "0", check=False).returncode == 2
    assert near_scripted("trace", "../etc", check=False).returncode == 2


def test_a_key_of_a_reader_may_not_chat(near_scripted: Craton) -> None:
    key = near_scripted("keys", "create", "--role", "reader").stdout.strip()
    done = near_scripted("chat", "-m", "echo", "hello", check=False, CRATON_API_KEY=key)
    assert done.returncode == 1
    assert "reader" in done.stderr
    assert near_scripted("models", "list", CRATON_API_KEY=key).stdout.startswith("MODEL")


def test_usage_sums_what_was_asked(near_scripted: Craton) -> None:
    near_scripted("chat", "-m", "echo", "count me")
    (line,) = eventually(lambda: json.loads(near_scripted("usage", "--since", "1h", "--json").stdout)["usage"])
    assert line["model"] == "echo"
    assert line["requests"] >= 1
    assert line["cost"] > 0
    assert "echo" in near_scripted("usage").stdout
    done = near_scripted("usage", "--since", "soon", check=False)
    assert done.returncode == 2
    assert "7d" in done.stderr


def test_a_starter_answers(near: Craton) -> None:
    asked = ("chat", "What is supervised learning?", "--max-tokens", "24", "--temperature", "0", "--json")
    answer = json.loads(near(*asked).stdout)
    assert answer["model"] == "smollm2-135m-instruct"
    assert "learning" in answer["text"]
    loaded = json.loads(near("status", "--json").stdout)["loaded"]
    assert "smollm2-135m-instruct" in [model["model"] for model in loaded]
    unloaded = json.loads(near("models", "unload", "smollm2-135m-instruct", "--json").stdout)
    assert unloaded == {"model": "smollm2-135m-instruct", "unloaded": True}
    loaded = json.loads(near("status", "--json").stdout)["loaded"]
    assert "smollm2-135m-instruct" not in [model["model"] for model in loaded]
    assert "was not loaded" in near("models", "unload", "smollm2-135m-instruct").stderr
