"""`craton datasets add`: a file of rows becomes a revision of a dataset, after a look into it."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from craton.cli.connection import Connection, connect, connection_options
from craton.cli.datasets_view import worded
from craton.cli.errors import NoServer, ServerError
from craton.cli.output import hint, json_option, print_json, print_table, say
from craton.core.errors import InvalidRequest, Unsupported

if TYPE_CHECKING:
    from craton.data.viewing.values import Described, Statistics


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--to", "path", metavar="PATH", help="Where in the dataset. Default: the file's own name.")
@click.option("--private/--public", default=None, help="Of a dataset that is made now. Default: the server's.")
@click.option("--message", "-m", metavar="TEXT", help="What is said of the revision.")
@click.option("--check/--no-check", default=True, help="Read the file first.  [default: check]")
@connection_options
@json_option
def add(
    name: str,
    file: Path,
    path: str | None,
    private: bool | None,
    message: str | None,
    check: bool,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Add FILE (CSV, TSV, JSON, JSON lines, Parquet, Arrow or text) to the dataset NAME, making that if need be.

    The file is read first: what its columns hold is shown, and a broken one is not uploaded. Files called train.csv,
    test.csv and so on become splits. A folder of pictures (LABEL/PICTURE, or train/LABEL/PICTURE), or a zip of one,
    becomes Parquet with the columns `image` and `label`.

    \b
    craton datasets add acme/churn churn.csv
    craton datasets add acme/churn new.csv --to test.csv
    craton datasets add acme/leaves leaves/
    """
    from craton.data.pictures import is_pictures, write_parquet

    adding = _Adding(connect(url, key), name, private, message, check, quiet=as_json)
    if not is_pictures(file):
        said: Any = adding.add(file, path or file.name)
    elif path is not None:
        raise InvalidRequest("a folder of pictures becomes files named after its splits", "--to")
    else:
        with tempfile.TemporaryDirectory(prefix="craton-pictures-") as folder:
            said = [adding.add(part, part.name) for part in write_parquet(file, Path(folder))]
    if as_json:
        print_json(said)
    else:
        hint(f"Look at it: craton datasets stats {name}")


class _Adding(Struct, frozen=True):
    """Where to, and how."""

    connection: Connection
    name: str
    private: bool | None
    message: str | None
    check: bool
    quiet: bool

    def add(self, file: Path, path: str) -> dict[str, Any]:
        """Looked into, shown, uploaded. Returns the same as JSON."""
        found, statistics = asyncio.run(_look(file.absolute())) if self.check else (None, None)
        warnings = _warnings(found, statistics) if found and statistics else []
        if found and statistics and not self.quiet:
            missing = {column.name: column.values.missing for column in statistics.columns}
            lines = [(column, worded(kind), missing.get(column, "")) for column, kind in found.features.items()]
            print_table(("COLUMN", "TYPE", "MISSING"), lines, "No columns.", right=("MISSING",))
        if not self.quiet:
            for warning in warnings:
                say(warning, fg="yellow")
        repo, revision = upload(self.connection, self.name, file, path, self.private, self.message, quiet=self.quiet)
        rows = found.rows if found else None
        if not self.quiet:
            count = "" if rows is None else f"{rows:,} rows as "
            say(f"{count}{path} in {repo}, revision {revision[:12]}.")
        features = found.features if found else None
        fields = {"dataset": repo, "revision": revision, "path": path, "rows": rows}
        return fields | {"features": features, "warnings": warnings}


async def _look(file: Path) -> tuple[Described, Statistics]:
    """Reads the file in a child process, as the server will. Raises Unsupported, Damaged, TooLarge."""
    from craton.data.viewing.frames import Convert, Describe, Measure, Part, Source, Table
    from craton.data.viewing.limits import ViewLimits
    from craton.data.viewing.naming import format_of, packing_of, separator_of
    from craton.data.viewing.pool import TablePool
    from craton.data.viewing.values import Described, ReadOptions, Statistics

    format_ = format_of(file.name)
    if format_ is None:
        raise Unsupported(
            f"Reading rows from {file.name!r}", "Save it as CSV, JSON lines or Parquet, or use --no-check."
        )
    pool = TablePool(1, ViewLimits())
    try:
        with tempfile.TemporaryDirectory(prefix="craton-add-") as folder:
            copy = file
            if format_ == "parquet":
                described = await pool.run(Describe(str(copy), file.name), Described)
            else:
                options = ReadOptions(separator_of(file.name))
                source = Source(str(copy), file.name, format_, packing_of(file.name), options)
                copy = Path(folder, "copy.parquet")
                described = await pool.run(Convert(source, str(copy)), Described)
            part = Part(str(copy), file.name, 0, described.rows)
            return described, await pool.run(Measure(Table((part,), described.features)), Statistics)
    finally:
        await pool.close()


def _warnings(found: Described, statistics: Statistics) -> list[str]:
    """What is odd, though it can be read."""
    said = []
    if not found.rows:
        said.append("It has no rows.")
    if found.partial:
        said.append(f"It is large: only its first {found.rows:,} rows were checked.")
    for column in statistics.columns:
        values = column.values
        if found.rows and values.missing == found.rows:
            said.append(f"The column {column.name!r} is empty.")
    said += [f"The column {name!r} has no name." for name in found.features if name.startswith("Unnamed: ")]
    return said


def upload(
    connection: Connection, name: str, file: Path, path: str, private: bool | None, message: str | None, *, quiet: bool
) -> tuple[str, str]:
    """The repository's name and the new revision. By the Hub's own client, which sends only what is not there yet."""
    os.environ["NO_PROXY"] = "*"  # as for all that this command asks of the server
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if quiet or not sys.stderr.isatty():
        disable_progress_bars()
    hub = HfApi(endpoint=connection.url, token=connection.token)
    visibility: dict[str, Any] = {} if private is None else {"private": private}
    try:
        repo = hub.create_repo(name, repo_type="dataset", exist_ok=True, **visibility).repo_id
        made = hub.upload_file(
            path_or_fileobj=file,
            path_in_repo=path,
            repo_id=repo,
            repo_type="dataset",
            commit_message=message or f"Add {path}",
        )
    except HFValidationError as error:
        raise InvalidRequest(str(error), "name") from error
    except HfHubHTTPError as error:
        raise ServerError(error.server_message or str(error)) from error
    except httpx2.ConnectError as error:
        raise NoServer(f"No server answers at {connection.url}. Start one with `craton serve`.") from error
    except httpx2.HTTPError as error:
        raise ServerError(f"The connection to {connection.url} broke off ({type(error).__name__}).") from error
    return repo, made.oid
