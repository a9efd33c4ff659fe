"""`craton keys`: in a home of its own, and under a running server."""

from __future__ import annotations

import json
import time

from tests.cli.conftest import Craton
from tests.servers import RunningServer, craton


def test_the_command_that_makes_the_home_shows_its_root_key_once(alone: Craton) -> None:
    first = alone("keys", "list", "--json")
    (root,) = json.loads(first.stdout)
    assert root["role"] == "root"
    assert f"craton-{root['key_id']}-" in first.stderr
    assert "craton-" not in alone("keys", "list").stderr


def test_a_new_key_is_printed_alone_opens_the_server_and_is_revoked(
    scripted: RunningServer, near_scripted: Craton
) -> None:
    made = scripted.craton("keys", "create", "--name", "a laptop", "--expires", "30d")
    token = made.stdout.strip()
    key_id, secret = token.split("-", 2)[1:]
    assert made.stdout == f"{token}\n"
    assert secret in made.stderr  # for AWS clients
    environment = dict(scripted.environment) | {"CRATON_API_KEY": token}
    assert craton("chat", "-m", "echo", "hello", environment=environment).stdout == "hello\n"
    (listed,) = [key for key in json.loads(near_scripted("keys", "list", "--json").stdout) if key["key_id"] == key_id]
    assert (listed["name"], listed["role"]) == ("a laptop", "invoker")
    assert 29 < (listed["expires_at"] - time.time()) / 86_400 < 31
    assert secret not in json.dumps(listed)
    assert json.loads(near_scripted("keys", "revoke", key_id, "--json").stdout) == {"revoked": key_id}
    assert "revoked" in near_scripted("keys", "list").stdout
    time.sleep(1.1)  # what the server may still believe
    done = craton("chat", "-m", "echo", "hello", environment=environment, check=False)
    assert (done.returncode, done.stdout) == (1, "")


def test_tenants_are_walls(alone: Craton) -> None:
    assert json.loads(alone("keys", "tenants", "create", "acme", "--json").stdout) == {"tenant": "acme"}
    assert json.loads(alone("keys", "tenants", "list", "--json").stdout) == ["acme", "default"]
    admin = json.loads(alone("keys", "create", "--tenant", "acme", "--role", "admin", "--json").stdout)["token"]
    mine = json.loads(alone("keys", "create", "--key", admin, "--role", "reader", "--json").stdout)
    assert (mine["tenant"], mine["role"]) == ("acme", "reader")
    for command in (
        ("create", "--tenant", "default"),
        ("create", "--role", "root"),
        ("list", "--tenant", "default"),
        ("tenants", "list"),
        ("credential", "list"),
    ):
        done = alone("keys", *command, "--key", admin, check=False)
        assert (done.returncode, "may not operate" in done.stderr) == (1, True), command
    assert alone("keys", "tenants", "create", "acme", check=False).returncode == 1
    assert "craton keys list" in alone("keys", "revoke", "CRTNAAAAAAAAAAAAAAAA", check=False).stderr


def test_other_providers_keys_come_from_stdin_and_are_never_shown(alone: Craton) -> None:
    alone("keys", "credential", "set", "deepseek", stdin="sk-very-secret\n")
    told = alone("keys", "credential", "list", "--json")
    assert json.loads(told.stdout) == ["deepseek"]
    assert "sk-very-secret" not in told.stdout + told.stderr
    assert alone("keys", "credential", "set", "empty", stdin="\n", check=False).returncode == 1
    assert alone("keys", "credential", "set", "deepseek", "sk-on-the-command-line", check=False).returncode == 2
    alone("keys", "credential", "delete", "deepseek")
    gone = alone("keys", "credential", "list")
    assert (gone.stdout, "craton keys credential set" in gone.stderr) == ("", True)


def test_a_span_that_is_none_is_a_usage_error(alone: Craton) -> None:
    done = alone("keys", "create", "--expires", "soon", check=False)
    assert (done.returncode, "30m" in done.stderr) == (2, True)
