"""`craton status`, and what every command says when nobody answers."""

from __future__ import annotations

import json

import pytest

from craton import __version__
from tests.cli.conftest import Craton
from tests.servers import RunningServer


def test_it_tells_address_version_and_what_is_loaded(scripted: RunningServer) -> None:
    scripted.craton("chat", "--model", "echo", "hello")
    text = scripted.craton("status").stdout
    assert scripted.url in text
    assert __version__ in text
    assert "echo" in text
    told = json.loads(scripted.craton("status", "--json").stdout)
    assert told["running"] is True
    assert told["pid"] == scripted.pid
    assert [model["model"] for model in told["loaded"]] == ["echo"]
    assert told["loaded"][0]["waiting"] == 0


@pytest.mark.parametrize(
    "command", [("status",), ("chat", "hello"), ("embed", "hello"), ("usage",), ("trace",), ("models", "unload", "x")]
)
def test_without_a_server_it_says_how_to_start_one_and_ends_with_3(alone: Craton, command: tuple[str, ...]) -> None:
    done = alone(*command, check=False)
    assert done.returncode == 3
    assert done.stdout == ""
    assert "craton serve" in done.stderr
    assert "Traceback" not in done.stderr


def test_json_says_that_nothing_runs(alone: Craton) -> None:
    done = alone("status", "--json", check=False)
    assert (done.returncode, json.loads(done.stdout)) == (3, {"running": False})


def test_a_server_that_is_named_but_silent_ends_with_3(near_scripted: Craton) -> None:
    done = near_scripted("status", "--url", "http://127.0.0.1:9", check=False)
    assert done.returncode == 3
    assert "http://127.0.0.1:9" in done.stderr


def test_a_wrong_key_is_an_error_with_the_servers_words(scripted: RunningServer, near_scripted: Craton) -> None:
    done = near_scripted("status", "--key", scripted.token[:-3] + "xyz", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "key is not valid" in done.stderr


@pytest.mark.parametrize(("option", "value"), [("--url", "ftp://example"), ("--key", "sk-something")])
def test_unusable_urls_and_keys_are_refused_before_anything_is_sent(
    near_scripted: Craton, option: str, value: str
) -> None:
    done = near_scripted("status", option, value, check=False)
    assert done.returncode == 1
    assert option.strip("-") in done.stderr
