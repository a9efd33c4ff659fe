"""Webhooks: kept with the stock client, called for real, whatever happens to the receiver and to the server."""

from __future__ import annotations

import secrets
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from huggingface_hub import WebhookWatchedItem
from huggingface_hub.errors import HfHubHTTPError

from craton.core.repo import RepoId
from tests.app.collaborating import Company, company
from tests.app.hearing import Receiver, receiving
from tests.servers import serving


@dataclass
class Scene:
    firm: Company
    receiver: Receiver
    closed: str

    def hook(self, *watched: dict[str, str], **options: object) -> str:
        """The path at which a new webhook of alice's is heard."""
        path = f"/{secrets.token_hex(4)}"
        items = list(watched) or [{"type": "user", "name": "alice"}]
        self.firm.alice.create_webhook(url=self.receiver.url + path, watched=items, **options)  # type: ignore[arg-type]
        return path


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """closed: an address that is allowed and where nobody listens at first."""
    closed = f"http://127.0.0.1:{free_port()}"
    with receiving() as receiver:
        allow = f'["{receiver.url}", "{closed}", "hooks.example.com"]'
        home = tmp_path_factory.mktemp("webhooks") / "home"
        with company(home, f"[outgoing]\nallow = {allow}\n") as firm:
            yield Scene(firm, receiver, closed)


def status_of(error: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    return error.value.response.status_code


def test_webhooks_are_kept(scene: Scene) -> None:
    alice, bob = scene.firm.alice, scene.firm.bob
    watched = [WebhookWatchedItem(type="user", name="alice"), {"type": "org", "name": "acme"}]
    made = alice.create_webhook(url="https://hooks.example.com/a", watched=watched, domains=["repo"], secret="s3cret")  # type: ignore[arg-type]
    assert alice.get_webhook(made.id) == made
    assert (made.domains, made.secret, made.disabled) == (["repo"], "s3cret", False)
    assert made in alice.list_webhooks()
    assert made.id not in [it.id for it in bob.list_webhooks()]
    changed = alice.update_webhook(made.id, url="https://hooks.example.com/b", domains=["discussion"])
    assert (changed.url, changed.domains) == ("https://hooks.example.com/b", ["discussion"])
    assert (changed.watched, changed.secret) == (made.watched, "s3cret")
    assert alice.disable_webhook(made.id).disabled is True
    assert alice.enable_webhook(made.id).disabled is False
    for act in (bob.get_webhook, bob.disable_webhook, bob.delete_webhook):
        with pytest.raises(HfHubHTTPError) as absent:
            act(made.id)
        assert status_of(absent) == 404
    assert b"s3cret" not in (scene.firm.server.home / "craton.db").read_bytes()
    alice.delete_webhook(made.id)
    with pytest.raises(HfHubHTTPError):
        alice.get_webhook(made.id)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://169.254.169.254/latest/meta-data", 403),
        ("http://127.0.0.1:1/", 403),
        ("https://elsewhere.example.com/", 403),
        ("http://[::1]/", 403),
        ("http://2130706433/", 403),
        ("file:///etc/passwd", 400),
        ("https://user:word@hooks.example.com/", 400),
        ("https://hooks.example.com/a b", 400),
        ("", 400),
    ],
)
def test_where_nothing_may_be_called_no_webhook_is_made(scene: Scene, url: str, status: int) -> None:
    with pytest.raises(HfHubHTTPError) as refused:
        scene.firm.alice.create_webhook(url=url, watched=[{"type": "user", "name": "alice"}])
    assert status_of(refused) == status


def test_jobs_are_refused(scene: Scene) -> None:
    with pytest.raises(HfHubHTTPError, match="starts no job"):
        scene.firm.alice.create_webhook(job_id="1", watched=[{"type": "user", "name": "alice"}])


def test_what_happens_to_a_repository_is_told(scene: Scene) -> None:
    firm = scene.firm
    path = scene.hook(secret="s3cret", domains=["repo"])
    repo = firm.repo()
    before = firm.platform.hub.resolve("alice", repo)
    after = firm.commit(repo, "main", firm.add("alice", "a", b"a")).id
    firm.bob.create_discussion(repo.path, "Not of this hook's domain")
    firm.platform.hub.configure("alice", repo, private=True)
    to = RepoId("model", "alice", f"{repo.name}-moved")
    firm.platform.hub.move("alice", repo, to)
    firm.platform.hub.delete("alice", to)
    heard = scene.receiver.wait(path, 6)
    assert {it.headers["x-webhook-secret"] for it in heard} == {"s3cret"}
    told = {(it.body["event"]["scope"], it.body["event"]["action"]): it.body for it in heard}
    assert told.keys() == {
        ("repo", "create"),
        ("repo.content", "update"),
        ("repo.config", "update"),
        ("repo", "move"),
        ("repo", "delete"),
    }
    content = told["repo.content", "update"]  # the second one
    assert content["updatedRefs"] == [{"ref": "refs/heads/main", "oldSha": before, "newSha": after}]
    assert content["repo"]["headSha"] == after
    assert content["repo"]["name"] == repo.path
    assert content["repo"]["url"]["api"] == f"{firm.server.url}/api/models/{repo.path}"
    assert content["webhook"]["version"] == 3
    assert told["repo.config", "update"]["updatedConfig"] == {"private": True}
    assert told["repo", "move"]["movedTo"]["name"] == to.path


def test_what_is_said_is_told_in_the_hubs_shape(scene: Scene) -> None:
    firm, repo = scene.firm, scene.firm.repo()
    path = scene.hook({"type": "model", "name": repo.path}, domains=["discussion"])
    number = firm.bob.create_pull_request(repo.path, "A change", description="Look").num
    comment = firm.alice.comment_discussion(repo.path, number, "Nice")
    firm.bob.edit_discussion_comment(
        repo.path, number, firm.bob.get_discussion_details(repo.path, number).events[0].id, "Look here"
    )
    firm.alice.change_discussion_status(repo.path, number, "closed")
    firm.repo()  # another one, not watched
    heard = scene.receiver.wait(path, 4)
    events = [(it.body["event"]["scope"], it.body["event"]["action"]) for it in heard]
    assert events == [
        ("discussion", "create"),
        ("discussion.comment", "create"),
        ("discussion.comment", "update"),
        ("discussion", "update"),
    ]
    told = dict(zip(events, (it.body for it in heard), strict=True))
    opened = told["discussion", "create"]
    assert (opened["discussion"]["num"], opened["discussion"]["status"]) == (number, "draft")
    assert opened["discussion"]["changes"] == {"base": "refs/heads/main"}
    assert opened["comment"]["content"] == "Look"
    assert told["discussion.comment", "create"]["comment"]["id"] == comment.id
    assert told["discussion.comment", "update"]["comment"]["content"] == "Look here"
    assert told["discussion", "update"]["discussion"]["status"] == "closed"


def test_the_stock_clients_own_types_read_a_payload(scene: Scene) -> None:
    pytest.importorskip("pydantic")
    from huggingface_hub import WebhookPayload

    firm, repo = scene.firm, scene.firm.repo()
    path = scene.hook({"type": "model", "name": repo.path})
    firm.bob.create_pull_request(repo.path, "A change")
    firm.commit(repo, "refs/pr/1", firm.add("alice", "a", b"a"))
    payloads = [WebhookPayload.model_validate(it.body) for it in scene.receiver.wait(path, 2)]
    assert {it.event.scope for it in payloads} == {"discussion", "repo.content"}
    assert {it.repo.name for it in payloads} == {repo.path}


def test_others_hear_only_of_what_they_may_see(scene: Scene) -> None:
    firm = scene.firm
    gated = firm.repo(gated="manual")
    url, watched = f"{scene.receiver.url}/bob", [{"type": "user", "name": "alice"}]
    hook = firm.bob.create_webhook(url=url, watched=watched)  # type: ignore[arg-type]
    private, shared = firm.repo(private=True), firm.repo()
    firm.alice.create_discussion(private.path, "Private")
    firm.alice.create_discussion(gated.path, "Of gated files")
    firm.alice.create_discussion(shared.path, "For all")
    heard = scene.receiver.wait("/bob", 3)
    time.sleep(0.6)
    assert {it.body["repo"]["name"] for it in scene.receiver.at("/bob")} == {shared.path}
    assert len(heard) == 3  # made, filled, discussed
    firm.bob.delete_webhook(hook.id)


def test_a_failure_and_a_receiver_that_is_away_are_tried_again(scene: Scene) -> None:
    """Both at once: the first retry comes after five seconds."""
    firm, repo = scene.firm, scene.firm.repo()
    watched = {"type": "model", "name": repo.path}
    path, moved, away = scene.hook(watched), scene.hook(watched), f"/{secrets.token_hex(4)}"
    scene.receiver.answers |= {path: [500], moved: [302]}
    firm.alice.create_webhook(url=scene.closed + away, watched=[watched])
    firm.alice.create_discussion(repo.path, "Hear this")
    scene.receiver.wait(path, 1)
    with receiving(int(scene.closed.rpartition(":")[2])) as late:
        first, second = scene.receiver.wait(path, 2)
        assert (first.status, second.status) == (500, 200)
        assert first.body == second.body
        assert first.headers["x-webhook-delivery"] == second.headers["x-webhook-delivery"]
        assert late.wait(away, 1)[0].body["discussion"]["title"] == "Hear this"
        assert [it.status for it in scene.receiver.wait(moved, 2)] == [302, 200]
    assert scene.receiver.at("/elsewhere") == []  # redirects are not followed


def test_what_a_killed_server_had_to_tell_is_told_by_the_next(tmp_path: Path) -> None:
    with receiving() as receiver:
        config = f'[outgoing]\nallow = ["{receiver.url}"]\n'
        with company(tmp_path / "home", config) as firm:
            repo = firm.repo()
            watched = [{"type": "model", "name": repo.path}]
            firm.alice.create_webhook(url=f"{receiver.url}/kept", watched=watched)  # type: ignore[arg-type]
            firm.server.process.send_signal(signal.SIGSTOP)
            sha = firm.commit(repo, "main", firm.add("alice", "a", b"a")).id
            firm.server.process.kill()
            firm.server.process.wait()
        time.sleep(0.2)
        assert receiver.heard == []
        with serving(tmp_path / "home"):
            [heard] = receiver.wait("/kept", 1)
            assert heard.body["updatedRefs"][0]["newSha"] == sha
            time.sleep(0.7)
            assert len(receiver.heard) == 1
