"""Retrieve over HTTP, the question's embedding included: SciFact in a real server, one client and several, and several
while another knowledge base is being ingested.

    python -m bench retrieving [--documents 5183] [--clients 8] [--seconds 10]

Every question is another one (SciFact's 1,109), asked in Bedrock's shape, hybrid, for five results; also signed as
AWS's clients sign, and semantic.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.knowing import DATA, documents, ingest, knowing_server, new_base, new_tenant, questions
from bench.load import Load, Result, run
from tests.proof.processes import load_average
from tests.servers import RunningServer

RESULTS = 5
WARM = 2.0  # seconds
AHEAD = 4.0  # seconds that the other ingestion gets before anything is measured: its process and its model start


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench retrieving", description=__doc__)
    parser.add_argument("--documents", type=int, default=5_183)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--data", type=Path, default=DATA, help="holds scifact/")
    arguments = parser.parse_args(given)
    if not (arguments.data / "scifact").is_dir():
        print("SciFact is not here; --data says where it is.")
        return
    with tempfile.TemporaryDirectory(prefix="craton-bench-") as name:
        folder = Path(name)
        count = documents(arguments.data, folder / "sources" / "files", arguments.documents)
        with (
            knowing_server(folder / "home", folder / "sources") as server,
            new_tenant(server) as client,
            new_tenant(server) as other,
        ):
            base, source = new_base(client, folder / "sources" / "files")
            seconds, _ = ingest(client, base, source)
            print(f"{count:,} documents ingested in {seconds:.0f} s", flush=True)
            asking = Asking(server, client, base, questions(arguments.data), arguments.seconds)
            asking.run(arguments.clients, other, folder / "sources" / "files")


class Asking:
    """One knowledge base, asked over and over."""

    def __init__(
        self, server: RunningServer, client: httpx.Client, base: str, asked: list[str], seconds: float
    ) -> None:
        self._server, self._base, self._asked, self._seconds = server, base, asked, seconds
        self._bearer = client.headers["authorization"]

    def run(self, clients: int, other: httpx.Client, files: Path) -> None:
        """other: a client of a tenant that has nothing, who ingests `files` at the end."""
        run(self._load(clients, WARM))
        self._tell("one client", run(self._load(1)))
        self._tell("one client, signed", run(self._load(1, signed=True)))
        self._tell("one client, semantic", run(self._load(1, mode="SEMANTIC")))
        alone = self._tell(f"{clients} clients", run(self._load(clients)))
        base, source = new_base(other, files)
        ingesting = threading.Thread(target=ingest, args=(other, base, source), daemon=True)
        ingesting.start()
        time.sleep(AHEAD)
        one = self._tell("one client, ingesting", run(self._load(1)))
        beside = self._tell(f"{clients} clients, ingesting", run(self._load(clients)))
        if not ingesting.is_alive():
            print("the ingestion had ended before the measurement: more documents are needed")
            return
        print(
            f"during an ingestion {clients} clients wait {beside.p50 / alone.p50:.2f} times as long (goal: at most 2), "
            f"one waits {one.p50:.1f} ms"
        )
        ingesting.join()

    def _load(self, clients: int, seconds: float | None = None, *, mode: str = "HYBRID", signed: bool = False) -> Load:
        search = {"vectorSearchConfiguration": {"numberOfResults": RESULTS, "overrideSearchType": mode}}
        bodies = tuple(
            json.dumps({"retrievalQuery": {"text": text}, "retrievalConfiguration": search}).encode()
            for text in self._asked
        )
        url = f"{self._server.url}/knowledgebases/{self._base}/retrieve"
        headers = {"content-type": "application/json"}
        each = tuple(self._signature(url, body) for body in bodies) if signed else ()
        if not signed:
            headers["authorization"] = self._bearer
        return Load(url, "POST", headers, b"", clients, seconds or self._seconds, bodies, each)

    def _signature(self, url: str, body: bytes) -> dict[str, str]:
        _, key, secret = self._bearer.removeprefix("Bearer ").split("-", 2)
        request = AWSRequest("POST", url, data=body, headers={"host": urlsplit(url).netloc})
        SigV4Auth(Credentials(key, secret), "bedrock", "us-east-1").add_auth(request)
        return {name: value for name, value in request.headers.items() if name.lower() != "host"}

    def _tell(self, what: str, result: Result) -> Result:
        print(
            f"{what:26} p50 {result.p50:6.1f} ms   p95 {result.p95:6.1f} ms   {result.rate:6.1f} requests/s   "
            f"load {load_average():.1f}",
            flush=True,
        )
        return result


if __name__ == "__main__":
    main()
