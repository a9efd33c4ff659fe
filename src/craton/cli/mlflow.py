"""An MLflow tracking server, by its REST API (version 2.0): as much of it as sending a finished run there needs.

https://mlflow.org/docs/latest/rest-api.html. Its limits are kept here: names, lengths, how much goes into one request.
Files go through the server itself, which is how it keeps artifacts unless it was told otherwise
(https://mlflow.org/docs/latest/self-hosting/architecture/artifact-store.html, "proxied artifact access").
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import httpx
import msgspec

from craton.cli.errors import NoServer, ServerError
from craton.cli.jobs_export import MLflowRun
from craton.cli.jobs_files import RunFile

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
PROXIED = "mlflow-artifacts:/"
TIMEOUT = 60.0
MAX_METRICS, MAX_PAIRS = 1_000, 100  # in one request
MAX_PARAMETER, MAX_TAG, MAX_KEY = 6_000, 8_000, 250  # characters
MAX_DIGEST = 36
_ODD = re.compile(r"[#%?:\\\x00-\x1f\x7f]")
_REFUSED = re.compile(r"[^/\w.\- :]", re.ASCII)


class Exported(NamedTuple):
    """id: of the run there. made: whether it was made now. files: how many went with it; elsewhere: where the server
    keeps artifacts, if it does not take them itself, so that none went."""

    id: str
    made: bool
    files: int = 0
    elsewhere: str = ""


class MLflow:
    """Raises NoServer, ServerError."""

    def __init__(self, url: str, environment: Mapping[str, str] = os.environ) -> None:
        self._url = url.rstrip("/")
        token, user = environment.get("MLFLOW_TRACKING_TOKEN"), environment.get("MLFLOW_TRACKING_USERNAME")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        password = environment.get("MLFLOW_TRACKING_PASSWORD", "")
        auth = httpx.BasicAuth(user, password) if user and not token else None
        self._client = httpx.Client(base_url=self._url, headers=headers, auth=auth, timeout=TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def export(
        self, experiment: str, run: MLflowRun, points: Iterable[dict[str, Any]], files: Iterable[RunFile]
    ) -> Exported:
        """One that an earlier call left unfinished is begun anew."""
        place = self._experiment(experiment)
        for known in self._known(place, run.id):
            if known["status"] != "RUNNING":
                return Exported(str(known["run_id"]), made=False)
            self._ask("POST", "/runs/delete", {"run_id": known["run_id"]})
        made = {"experiment_id": place, "run_name": run.name, "start_time": run.began}
        tags = _pairs(run.tags, MAX_TAG)
        created = self._ask("POST", "/runs/create", made | {"tags": tags[:MAX_PAIRS]})
        info = created["run"]["info"]
        here, place = str(info["run_id"]), str(info.get("artifact_uri", ""))
        parameters = _pairs(run.parameters, MAX_PARAMETER)
        for part in _batched(parameters, MAX_PAIRS):
            self._ask("POST", "/runs/log-batch", {"run_id": here, "params": part})
        for metrics in _batched(map(_metric, points), MAX_METRICS):
            self._ask("POST", "/runs/log-batch", {"run_id": here, "metrics": metrics})
        if run.data is not None:
            self._ask("POST", "/runs/log-inputs", {"run_id": here, "datasets": [_dataset(*run.data)]})
        sent, proxied = 0, place.startswith(PROXIED) and not place.startswith(f"{PROXIED}/")
        for file in files if proxied else ():
            target = _path(f"{place.removeprefix(PROXIED)}/{file.path}")
            self._send("PUT", f"{ARTIFACTS}/{target}", content=file.content)
            sent += 1
        self._ask("POST", "/runs/update", {"run_id": here, "status": run.status, "end_time": run.ended})
        return Exported(here, made=True, files=sent, elsewhere="" if proxied else place)

    def _experiment(self, name: str) -> str:
        found = self._ask("GET", "/experiments/get-by-name", {"experiment_name": name}, missing=True)
        if found is None:
            return str(self._ask("POST", "/experiments/create", {"name": name})["experiment_id"])
        return str(found["experiment"]["experiment_id"])

    def _known(self, experiment: str, run: str) -> list[dict[str, Any]]:
        asked = {"experiment_ids": [experiment], "filter": f"tags.`craton.run` = '{run}'"}
        return [each["info"] for each in self._ask("POST", "/runs/search", asked).get("runs", [])]

    def _ask(self, method: str, path: str, body: dict[str, Any], *, missing: bool = False) -> Any:
        """missing: whether there may be no such thing, which gives None."""
        options: dict[str, Any] = {"params": body} if method == "GET" else {"content": msgspec.json.encode(body)}
        headers = {"content-type": "application/json"}
        response = self._send(method, API + path, headers=headers, missing=missing, **options)
        if response is None:
            return None
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError as error:
            raise ServerError(f"What answers at {self._url} is not MLflow.") from error

    def _send(self, method: str, path: str, *, missing: bool = False, **options: Any) -> httpx.Response | None:
        try:
            response = self._client.request(method, path, **options)
        except httpx.ConnectError as error:
            raise NoServer(f"No MLflow server answers at {self._url}.") from error
        except httpx.HTTPError as error:
            raise ServerError(f"The connection to {self._url} broke off ({type(error).__name__}).") from error
        if response.status_code == 404 and missing:
            return None
        if not response.is_success:
            raise ServerError(f"MLflow refused {path.removeprefix(API)}: {_reason(response)}")
        return response


def _batched(items: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    rest = iter(items)
    while batch := [*islice(rest, size)]:
        yield batch


def _path(name: str) -> str:
    """Of an artifact, without what MLflow refuses in it, or reads as something else."""
    return "/".join(quote(_ODD.sub("_", part), safe="") for part in name.split("/") if part)


def _reason(response: httpx.Response) -> str:
    try:
        return str(msgspec.json.decode(response.content)["message"])[:500]
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"status {response.status_code}"


def key(name: str) -> str:
    """As MLflow takes it: some characters only, and no name that means another one when it is read as a path."""
    parts = [part for part in _REFUSED.sub("_", name).split("/") if part not in {"", ".", ".."}]
    return "/".join(parts)[:MAX_KEY].rstrip("/") or "_"


def _pairs(values: Mapping[str, str], length: int) -> list[dict[str, str]]:
    return [{"key": key(name), "value": value[:length]} for name, value in values.items()]


def _metric(point: dict[str, Any]) -> dict[str, Any]:
    return point | {"key": key(point["key"])}


def _dataset(name: str, revision: str) -> dict[str, Any]:
    source = msgspec.json.encode({"name": name, "revision": revision}).decode()
    about = {"name": name, "digest": revision[:MAX_DIGEST] or "-", "source_type": "craton", "source": source}
    return {"dataset": about, "tags": [{"key": "mlflow.data.context", "value": "training"}]}
