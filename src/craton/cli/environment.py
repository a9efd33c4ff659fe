"""Pointing other programs at Craton without hurting what people have: `craton exec`, `craton env`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import click

from craton.cli.connection import Connection, connect, connection_options
from craton.cli.output import json_option, print_json, say

REGION = "us-east-1"

# Whatever of these is set would send a client past Craton, or with the wrong key.
CLEARED = (
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_AUTH_SCHEME_PREFERENCE",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "OPENAI_ADMIN_KEY",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "OPENAI_API_BASE",
    "OPENAI_API_TYPE",
    "OPENAI_CUSTOM_HEADERS",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_CUSTOM_HEADERS",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN",
    "HF_INFERENCE_ENDPOINT",
    "HUGGINGFACE_CO_STAGING",
    "HUGGING_FACE_HUB_TOKEN",
)
PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})


def variables(connection: Connection, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What clients need, in the environment that they start from.

    AWS_ENDPOINT_URL routes every AWS service here; one that Craton does not speak is refused by its name, so that
    nothing reaches the real AWS by accident. The OpenAI and Anthropic SDKs' own Bedrock clients look elsewhere for it.
    AWS_BEARER_TOKEN_BEDROCK is not set: boto3 refuses it over http. HF_ENDPOINT sends every `from_pretrained` and
    `load_dataset` here: what is not here comes through a mirror, where the operator has configured one. HF_HUB_OFFLINE
    stays as it is: it sends nobody anywhere.
    """
    return {
        "AWS_ENDPOINT_URL": connection.url,
        "AWS_ACCESS_KEY_ID": connection.access_key_id,
        "AWS_SECRET_ACCESS_KEY": connection.secret_access_key,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_BEDROCK_BASE_URL": f"{connection.url}/openai/v1",
        "OPENAI_BASE_URL": f"{connection.url}/v1",
        "OPENAI_API_KEY": connection.token,
        "ANTHROPIC_BASE_URL": connection.url,
        "ANTHROPIC_API_KEY": connection.token,
        "ANTHROPIC_BEDROCK_BASE_URL": connection.url,
        "ANTHROPIC_BEDROCK_MANTLE_BASE_URL": connection.url,
        "HF_ENDPOINT": connection.url,
        "HF_TOKEN": connection.token,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "CRATON_URL": connection.url,
        "CRATON_API_KEY": connection.token,
    } | _past_proxies(connection, environment)


def _past_proxies(connection: Connection, environment: Mapping[str, str]) -> dict[str, str]:
    """Where a proxy is set, the server is an exception from it."""
    if not any(name.lower() in PROXIES for name in environment):
        return {}
    host = urlsplit(connection.url).hostname or ""
    known = [name for name in (environment.get("no_proxy") or environment.get("NO_PROXY") or "").split(",") if name]
    direct = ",".join([*known, *([] if host in known else [host])])
    return {"NO_PROXY": direct, "no_proxy": direct}


def cleared(environment: Mapping[str, str]) -> list[str]:
    """Set variables that must go. AWS_ENDPOINT_URL_BEDROCK and its like would win over AWS_ENDPOINT_URL."""
    return sorted(name for name in environment if name in CLEARED or name.startswith("AWS_ENDPOINT_URL_"))


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@connection_options
def execute(command: tuple[str, ...], url: str | None, key: str | None) -> None:
    """Run a COMMAND with every endpoint and key set.

    Nothing else on the machine changes.

    \b
    craton exec -- python app.py
    craton exec -- hf upload acme/bert ./bert

    Hugging Face clients look for everything here then. What is on another hub comes through this server when a
    [hubs.NAME] in config.toml lets it mirror that hub.
    """
    environment = {name: value for name, value in os.environ.items() if name not in cleared(os.environ)}
    environment |= variables(connect(url, key))
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        click.echo(f"craton exec: {command[0]}: {error.strerror}", err=True)
        raise SystemExit(127 if isinstance(error, FileNotFoundError) else 126) from error


@click.command()
@click.option("--profile", metavar="NAME", help="Write an AWS profile instead of printing exports.")
@click.option("--force", is_flag=True, help="With --profile: replace a profile that Craton did not write.")
@connection_options
@json_option
def env(profile: str | None, force: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Print exports that point clients here; or write a profile.

    \b
    eval "$(craton env)"              for this shell; says what it overwrites
    craton env --profile craton       an AWS profile; AWS_PROFILE=craton then uses it
    craton exec -- python app.py      for one command only

    AWS, OpenAI, Anthropic and Hugging Face clients are pointed here. HF_ENDPOINT holds for every from_pretrained and
    load_dataset: what is on another hub comes through this server when a [hubs.NAME] in config.toml lets it mirror
    that hub.

    The profile's endpoint_url sends every AWS service here; one that Craton does not speak is refused by name.
    """
    connection = connect(url, key)
    if profile is not None:
        _write_profile(profile, connection, force, as_json)
        return
    wanted = variables(connection)
    gone = cleared(os.environ)
    if as_json:
        print_json({"set": wanted, "unset": gone})
        return
    changed = sorted(name for name, value in wanted.items() if os.environ.get(name) not in {None, value})
    if changed or gone:
        say(f"# This shell's own values are overwritten: {', '.join([*changed, *gone])}")
    for name in gone:
        click.echo(f"unset {name}")
    for name, value in wanted.items():
        click.echo(f"export {name}={shlex.quote(value)}")


def _write_profile(name: str, connection: Connection, force: bool, as_json: bool) -> None:
    from craton.cli.aws_profile import write_profile

    files = write_profile(name, connection, REGION, force=force)
    result: dict[str, Any] = {"profile": name, "files": [str(path) for path in files]}
    if as_json:
        print_json(result)
        return
    say(f"Profile {name} is in {' and '.join(result['files'])}.")
    click.echo(f"export AWS_PROFILE={shlex.quote(name)}")
