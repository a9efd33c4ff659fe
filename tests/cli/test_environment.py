"""`craton env`, `craton exec` and the AWS profile: clients come here, and what people have stays as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from craton.cli.aws_profile import write_profile
from craton.cli.connection import Connection
from craton.cli.environment import CLEARED, cleared, variables
from craton.core.errors import Conflict, InvalidRequest
from tests.servers import RunningServer, craton

HERE = Connection("http://127.0.0.1:8000", "craton-CRTNAAAAAAAAAAAAAAAA-se-cr_et")
ASK_BEDROCK = """
import boto3
answer = boto3.client("bedrock-runtime").converse(
    modelId="echo", messages=[{"role": "user", "content": [{"text": "hello there"}]}])
print(answer["output"]["message"]["content"][0]["text"])
try:
    boto3.client("sqs").list_queues()
except Exception as error:
    print(type(error).__name__, error)
"""
HOSTILE = {
    "AWS_PROFILE": "production",
    "AWS_SESSION_TOKEN": "theirs",
    "AWS_SECURITY_TOKEN": "theirs",
    "AWS_BEARER_TOKEN_BEDROCK": "bedrock-api-key-theirs",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://127.0.0.1:9",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_ACCESS_KEY_ID": "AKIATHEIRS",
    "AWS_SECRET_ACCESS_KEY": 'it\'s $(theirs) "too"',
    "OPENAI_ORG_ID": "org-theirs",
    "HUGGINGFACE_CO_STAGING": "1",
    "HF_ENDPOINT": "http://127.0.0.1:9",
    "HF_TOKEN": "hf_theirs",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
}


def run_with(server: RunningServer, more: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return craton("exec", "--", *command, environment=dict(server.environment) | more, check=False)


def test_exec_points_boto3_here_past_everything_that_was_set(server: RunningServer) -> None:
    done = run_with(server, HOSTILE, sys.executable, "-c", ASK_BEDROCK)
    assert done.returncode == 0, done.stderr
    said, refused = done.stdout.splitlines()
    assert said == "hello there"
    assert refused.startswith("ClientError")
    assert "sqs" in refused  # by its name, and by Craton: nothing reached the real one


def test_exec_passes_arguments_and_the_exit_code_on(server: RunningServer) -> None:
    code = "import os, sys; print(sys.argv[1:], os.environ['CRATON_URL'], 'AWS_BEARER_TOKEN_BEDROCK' in os.environ)\n"
    done = run_with(server, HOSTILE, sys.executable, "-c", code + "sys.exit(7)", "--json", "-h")
    assert (done.returncode, done.stdout) == (7, f"['--json', '-h'] {server.url} False\n")
    missing = run_with(server, {}, "no-such-program-here")
    assert (missing.returncode, "no-such-program-here" in missing.stderr) == (127, True)
    assert run_with(server, {}).returncode == 2


def test_exports_survive_a_shell_and_say_what_they_overwrite(server: RunningServer) -> None:
    script = f'eval "$({sys.executable} -m craton env)"; {sys.executable} -c "$PRINT"'
    code = "import os, json; print(json.dumps(dict(os.environ)))"
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        env=dict(server.environment) | HOSTILE | {"PRINT": code},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    inside = json.loads(done.stdout)
    expected = variables(Connection(server.url, server.token), HOSTILE)
    assert {name: inside[name] for name in expected} == expected
    assert not set(CLEARED) & set(inside)
    assert "AWS_ENDPOINT_URL_BEDROCK_RUNTIME" not in inside
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "OPENAI_ORG_ID"):
        assert name in done.stderr


def test_exec_points_hugging_face_clients_here_with_a_key(server: RunningServer) -> None:
    code = """
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import RepositoryNotFoundError
print(HfApi().whoami()["name"], constants.HF_HUB_DISABLE_TELEMETRY)
try:
    HfApi().model_info("acme/not-here")
except RepositoryNotFoundError as error:
    print(error)
"""
    done = run_with(server, HOSTILE, sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("default True\n")
    assert '[hubs.huggingface] with allow = ["acme/not-here"] into config.toml' in done.stdout


def test_json_gives_the_same_values(server: RunningServer) -> None:
    told = json.loads(server.craton("env", "--json").stdout)
    assert told["set"] == variables(Connection(server.url, server.token), {})
    assert told["unset"] == []


def test_bedrocks_bearer_token_is_never_exported_and_always_cleared() -> None:
    assert "AWS_BEARER_TOKEN_BEDROCK" not in variables(HERE, HOSTILE)
    assert "AWS_BEARER_TOKEN_BEDROCK" in cleared(HOSTILE)
    assert not set(variables(HERE, HOSTILE)) & set(CLEARED)


def test_proxies_are_gone_round_only_where_there_are_some() -> None:
    assert "NO_PROXY" not in variables(HERE, {})
    assert variables(HERE, {"HTTPS_PROXY": "x", "NO_PROXY": "a.example"})["NO_PROXY"] == "a.example,127.0.0.1"


def test_a_key_with_hyphens_is_taken_apart_rightly() -> None:
    assert (HERE.access_key_id, HERE.secret_access_key) == ("CRTNAAAAAAAAAAAAAAAA", "se-cr_et")


# --- the AWS profile -----------------------------------------------------------------------------------------

CONFIG = "# mine\n[default]\nregion = eu-central-1\n\n[profile work]  # a comment\ns3 =\n  max_queue_size = 10\n"
CREDENTIALS = "[default]\naws_access_key_id = AKIAMINE\naws_secret_access_key = mine\n"


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Somebody's AWS files."""
    folder = tmp_path / "user" / ".aws"
    folder.mkdir(parents=True)
    (folder / "config").write_text(CONFIG)
    (folder / "credentials").write_text(CREDENTIALS)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    return SimpleNamespace(config=folder / "config", credentials=folder / "credentials")


def test_a_profile_is_added_and_every_other_line_stays(aws: SimpleNamespace) -> None:
    write_profile("craton", HERE, "us-east-1", force=False)
    assert aws.config.read_text().startswith(CONFIG)
    assert aws.credentials.read_text().startswith(CREDENTIALS)
    assert "endpoint_url = http://127.0.0.1:8000" in aws.config.read_text()
    assert [path.stat().st_mode & 0o777 for path in (aws.config, aws.credentials)] == [0o600, 0o600]
    assert sorted(path.name for path in aws.config.parent.iterdir()) == ["config", "credentials"]


def test_writing_it_again_replaces_only_it(aws: SimpleNamespace) -> None:
    write_profile("craton", HERE, "us-east-1", force=False)
    with aws.config.open("a") as file:
        file.write("output = json\n\n# about later\n[profile later]\nregion = eu-west-1\n")
    write_profile("craton", Connection("http://127.0.0.1:9999", HERE.token), "us-east-1", force=False)
    text = aws.config.read_text()
    assert "127.0.0.1:8000" not in text
    assert text.count("[profile craton]") == 1
    assert text.startswith(CONFIG)
    assert text.endswith("output = json\n\n# about later\n[profile later]\nregion = eu-west-1\n")


def test_files_that_are_links_stay_links(aws: SimpleNamespace, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles-config"
    aws.config.rename(real)
    aws.config.symlink_to(real)
    write_profile("craton", HERE, "us-east-1", force=False)
    assert aws.config.is_symlink()
    assert "[profile craton]" in real.read_text()


def test_a_strangers_profile_is_refused_and_nothing_is_written(aws: SimpleNamespace) -> None:
    for name in ("default", "work"):
        with pytest.raises(Conflict):
            write_profile(name, HERE, "us-east-1", force=False)
    assert (aws.config.read_text(), aws.credentials.read_text()) == (CONFIG, CREDENTIALS)
    with pytest.raises(InvalidRequest):
        write_profile("a]\n[default", HERE, "us-east-1", force=True)
    write_profile("work", HERE, "us-east-1", force=True)
    assert "max_queue_size" not in aws.config.read_text()
    assert "[default]\nregion = eu-central-1\n" in aws.config.read_text()


def test_boto3_with_the_profile_reaches_the_server_and_no_other_service(
    server: RunningServer, aws: SimpleNamespace
) -> None:
    files = {"AWS_CONFIG_FILE": str(aws.config), "AWS_SHARED_CREDENTIALS_FILE": str(aws.credentials)}
    environment = dict(server.environment) | files
    done = craton("env", "--profile", "craton", environment=environment)
    assert done.stdout == "export AWS_PROFILE=craton\n"
    asked = subprocess.run(
        [sys.executable, "-c", ASK_BEDROCK],
        env=environment | {"AWS_PROFILE": "craton"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said, refused = asked.stdout.splitlines()
    assert (said, "sqs" in refused) == ("hello there", True)
    refused_profile = craton("env", "--profile", "work", "--json", environment=environment, check=False)
    assert (refused_profile.returncode, "--force" in refused_profile.stderr) == (1, True)


def test_new_files_lie_in_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_CONFIG_FILE", raising=False)
    monkeypatch.delenv("AWS_SHARED_CREDENTIALS_FILE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    config, credentials = write_profile("craton", HERE, "us-east-1", force=False)
    assert config == tmp_path / ".aws" / "config"
    assert os.stat(config.parent).st_mode & 0o777 == 0o700
    assert credentials.stat().st_mode & 0o777 == 0o600
