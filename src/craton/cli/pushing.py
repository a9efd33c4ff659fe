"""`craton models push`, `craton datasets push`: a folder or a repository of this server to a hub, by its own client."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from craton.cli.connection import connect, connection_options
from craton.cli.errors import NoServer, ServerError
from craton.cli.home import caller, opened
from craton.cli.hubs import configured_hub
from craton.cli.output import json_option, print_json, say
from craton.core.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Kind = Literal["model", "dataset"]


def push_command(kind: Kind) -> click.Command:
    """The command for repositories of this kind."""

    @click.command("push")
    @click.argument("source")
    @click.argument("name", required=False)
    @click.option(
        "--to", metavar="HUB", help="A [hubs.NAME] of config.toml, with its credential. Default: this server."
    )
    @click.option("--revision", metavar="BRANCH", default="main", show_default=True, help="Where it goes.")
    @click.option("--private/--public", default=None, help="Of a repository that is made now. Default: the hub's.")
    @click.option("--message", "-m", metavar="TEXT", help="What is said of the revision.")
    @connection_options
    @json_option
    def push(
        source: str,
        name: str | None,
        to: str | None,
        revision: str,
        private: bool | None,
        message: str | None,
        url: str | None,
        key: str | None,
        as_json: bool,
    ) -> None:
        place = _place(source, name)
        with _client(to, url, key) as hub, _folder(source, kind, url, key) as folder, hub_errors(str(hub.endpoint)):
            quiet(as_json)
            visibility: dict[str, Any] = {} if private is None else {"private": private}
            repo = hub.create_repo(place, repo_type=kind, exist_ok=True, **visibility).repo_id
            made = hub.upload_folder(
                repo_id=repo,
                repo_type=kind,
                folder_path=folder,
                revision=None if revision == "main" else revision,
                commit_message=message or f"Push {Path(source).name}",
            )
            commit = made.oid or str(hub.repo_info(repo, repo_type=kind, revision=revision).sha)
        if as_json:
            print_json({kind: repo, "revision": commit, "hub": hub.endpoint})
        else:
            say(f"{repo} is at {hub.endpoint}, revision {commit[:12]}.")

    push.help = f"""Send SOURCE, a folder or the name of a {kind} of this server, to a hub as NAME (namespace/name).

    Only what is not there yet is sent, in chunks where the hub takes them; files that the folder does not have stay.

    \b
    craton {kind}s push ./mine acme/mine              to this server
    craton {kind}s push acme/mine --to huggingface    with its credential of [hubs.huggingface]
    """
    return push


@contextmanager
def hub_errors(endpoint: str) -> Iterator[None]:
    """The client's errors in the words of the command line."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise InvalidRequest(str(error), "name") from error
    except HfHubHTTPError as error:
        raise ServerError(error.server_message or str(error)) from error
    except httpx2.ConnectError as error:
        raise NoServer(f"No server answers at {endpoint}.") from error
    except httpx2.HTTPError as error:
        raise ServerError(f"The connection to {endpoint} broke off ({type(error).__name__}).") from error


def _place(source: str, name: str | None) -> str:
    if name is not None:
        return name
    if Path(source).expanduser().is_dir():
        raise click.UsageError("What shall the folder be called? Give a NAME (namespace/name), too.")
    return source


@contextmanager
def _client(to: str | None, url: str | None, key: str | None) -> Iterator[HfApi]:
    """Of the hub that it goes to. The operator's credentials are for the operator."""
    if to is None:
        connection = connect(url, key)
        yield hub_api(connection.url, connection.token)
        return
    from craton.access.policy import authorize
    from craton.core.access import Action

    with opened() as platform:
        authorize(caller(platform, key), Action.OPERATE)
        endpoint, token = configured_hub(platform, to)
    yield hub_api(endpoint, token)


@contextmanager
def _folder(source: str, kind: Kind, url: str | None, key: str | None) -> Iterator[Path]:
    """The files: where they lie, or fetched from this server."""
    path = Path(source).expanduser()
    if path.is_dir():
        yield path
        return
    if "/" not in source or path.exists():
        raise NotFound("folder", source, f"A {kind} of this server is called namespace/name.")
    connection = connect(url, key)
    with tempfile.TemporaryDirectory(prefix="craton-push-") as folder, hub_errors(connection.url):
        hub_api(connection.url, connection.token).snapshot_download(source, repo_type=kind, local_dir=folder)
        yield Path(folder)


def hub_api(endpoint: str, token: str) -> HfApi:
    """The hub's own client, for this process's life without telemetry and without proxies."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["NO_PROXY"] = "*"  # as for all that these commands ask of a server
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint, token=token)


def quiet(as_json: bool) -> None:
    """No bars where nobody sees them."""
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if as_json or not sys.stderr.isatty():
        disable_progress_bars()
