"""What the soak's clients do: whole answers, streams, embeddings; some leave early, some send nonsense."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable

import httpx

from tests.proof.homes import CHAT, EMBEDDER
from tests.servers import RunningServer

WORDS = ["data", "model", "loss", "gradient", "token", "layer", "label", "feature", "split", "metric"]


class Unexpected(Exception):
    """Something answered otherwise than it should."""


class Visitor:
    """One client. counts: how often each thing was done; failures: what answered otherwise than it should."""

    def __init__(self, server: RunningServer, seed: int, counts: Counter[str], failures: list[str]) -> None:
        self._server, self._chance = server, random.Random(seed)
        self._counts, self._failures = counts, failures
        # Weights: the starter model is what costs processor time.
        self._visits: dict[Callable[[httpx.Client], None], int] = {
            self.chat: 8,
            self.chat_streamed: 8,
            self.messages: 6,
            self.converse: 6,
            self.embeddings: 3,
            self.starter_streamed: 2,
            self.leave_the_starter_early: 1,
            self.leave_early: 4,
            self.hang_up_in_the_middle: 3,
            self.nonsense: 6,
        }

    def work(self, stop: threading.Event) -> None:
        visits, weights = list(self._visits), list(self._visits.values())
        with self._server.client() as client:
            while not stop.is_set():
                (visit,) = self._chance.choices(visits, weights)
                name = visit.__name__.replace("_", " ")
                self._counts[name] += 1
                try:
                    visit(client)
                except (Unexpected, httpx.HTTPError, OSError) as error:
                    if not stop.is_set():
                        self._failures.append(f"{name}: {type(error).__name__}: {error}"[:200])
                time.sleep(0.02)

    def chat(self, client: httpx.Client) -> None:
        _expect(client.post("/v1/chat/completions", json=self._chat("echo")), 200)

    def chat_streamed(self, client: httpx.Client) -> None:
        self._read_stream(client, self._chat("echo", stream=True))

    def messages(self, client: httpx.Client) -> None:
        body = self._chat("echo", max_tokens=50)
        _expect(client.post("/v1/messages", json=body, headers={"anthropic-version": "2023-06-01"}), 200)

    def converse(self, client: httpx.Client) -> None:
        body = {"messages": [{"role": "user", "content": [{"text": self._text(20)}]}]}
        _expect(client.post("/model/echo/converse", json=body), 200)

    def embeddings(self, client: httpx.Client) -> None:
        body = {"model": EMBEDDER, "input": [self._text(12) for _ in range(3)]}
        _expect(client.post("/v1/embeddings", json=body), 200)

    def starter_streamed(self, client: httpx.Client) -> None:
        self._read_stream(client, self._chat(CHAT, words=10, stream=True, max_tokens=8))

    def leave_the_starter_early(self, client: httpx.Client) -> None:
        self._leave(client, self._chat(CHAT, words=10, stream=True, max_tokens=400))

    def leave_early(self, client: httpx.Client) -> None:
        self._leave(client, self._chat("echo", words=3000, stream=True))

    def hang_up_in_the_middle(self, _client: httpx.Client) -> None:
        address = httpx.URL(self._server.url)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self._server.token}\r\n"
        with socket.create_connection((address.host, address.port or 80), timeout=10) as raw:
            raw.sendall(f'{head}content-length: 5000\r\n\r\n{{"model": '.encode())

    def nonsense(self, client: httpx.Client) -> None:
        kind = self._chance.randrange(6)
        if kind == 0:
            _expect(client.post("/v1/chat/completions", content=b"{" * 1000), 400)
        elif kind == 1:
            _expect(client.post("/v1/chat/completions", json=self._chat(f"nobody-{self._chance.random()}")), 404)
        elif kind == 2:
            wrong = {"authorization": f"Bearer craton-CRTN{self._chance.random()}"}
            _expect(client.get("/v1/models", headers=wrong), 401)
        elif kind == 3:
            _expect(client.get(f"/v1/nothing/{self._chance.random()}"), 404)
        elif kind == 4:
            _expect(client.post("/v1/responses", json={"model": "echo", "input": "hi"}), 400)
        else:
            _expect(client.post("/v1/chat/completions", json=self._chat("echo", words=9000)), 400)

    def _text(self, words: int) -> str:
        return " ".join(self._chance.choices(WORDS, k=words))

    def _chat(self, model: str, words: int = 20, **options: object) -> dict[str, object]:
        return {"model": model, "messages": [{"role": "user", "content": self._text(words)}], **options}

    def _read_stream(self, client: httpx.Client, body: dict[str, object]) -> None:
        with client.stream("POST", "/v1/chat/completions", json=body) as reply:
            text = reply.read()
            _expect(reply, 200)
        if not text.endswith(b"data: [DONE]\n\n"):
            raise Unexpected(f"the stream broke off: {text[-100:]!r}")

    def _leave(self, client: httpx.Client, body: dict[str, object]) -> None:
        with client.stream("POST", "/v1/chat/completions", json=body) as reply:
            if reply.status_code != 200:
                reply.read()
                _expect(reply, 200)
            next(reply.iter_bytes())


def _expect(reply: httpx.Response, status: int) -> None:
    if reply.status_code != status:
        raise Unexpected(f"{reply.status_code} instead of {status}: {reply.text[:120]}")
