"""HTTP APIs that are asked with each question: their records stand between the passages, and are cited."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.app.knowing import MINILM, Aws, Base, Json, fold, told
from tests.app.replying import Query, Replying
from tests.servers import RunningServer, clean_environment, craton, serving

FORECAST = "The ferry to the island does not sail on Sunday because of the storm."
NO_ANSWER = "The sources do not hold an answer to this question."


@dataclass
class World:
    aws: Aws
    api: Replying


@pytest.fixture(scope="module")
def running(
    starter_files: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningServer, Replying]]:
    home = tmp_path_factory.mktemp("live") / "home"
    craton("models", "pull", "--starters", "--from", str(starter_files), environment=clean_environment(home))
    with Replying() as api, serving(home, config=f'[outgoing]\nallow = ["{api.url}"]\n') as server:
        server.craton("keys", "credential", "set", "ferries", stdin="s3cret")
        yield server, api


@pytest.fixture
def world(running: tuple[RunningServer, Replying]) -> Iterator[World]:
    server, api = running
    api.answer = sailings
    api.seen.clear()
    yield World(Aws(server), api)
    api.status, api.pause = 200, 0.0


def sailings(query: Query) -> Json:
    return {
        "news": [
            {"headline": "Ferries", "text": FORECAST, "link": "https://ferries.example/sunday", "asked": query["q"]},
            {"headline": "Fares", "text": "A crossing costs nine crowns.", "link": "https://ferries.example/fares"},
        ]
    }


def live(base: Base, api: Replying, **options: object) -> None:
    parameters = {
        "type": "API",
        "live": True,
        "url": f"{api.url}/search",
        "parameters": {"q": "{question}", "region": "north"},
        "items": "/news",
        "text": ["/text"],
        "title": "/headline",
        "link": "/link",
    }
    base.source(
        {
            "type": "MANAGED_KNOWLEDGE_BASE_CONNECTOR",
            "managedKnowledgeBaseConnectorConfiguration": {"connectorParameters": parameters | options},
        }
    )


def urls(results: list[Json]) -> list[str]:
    return [result["location"]["webLocation"]["url"] for result in results if result["location"]["type"] == "WEB"]


def test_records_stand_between_the_passages(world: World) -> None:
    base = world.aws.base()
    base.filled({"a.txt": "A first document.", "b.txt": "A second document."})
    live(base, world.api, credential="ferries")
    found = base.retrieve("document & ferry?")
    assert [result["location"]["type"] for result in found] == ["S3", "WEB", "S3", "WEB"]
    assert urls(found) == ["https://ferries.example/sunday", "https://ferries.example/fares"]
    first = found[1]["content"]
    assert first["type"] == "ROW"
    assert {column["columnName"]: column["columnValue"] for column in first["row"]}["asked"] == "document & ferry?"
    query, headers = world.api.seen[0]
    assert query == {"q": "document & ferry?", "region": "north"}
    assert headers["authorization"] == "Bearer s3cret"
    assert [result["location"]["type"] for result in base.retrieve("ferry", top=3)] == ["S3", "WEB", "S3"]
    narrow = {"equals": {"key": "team", "value": "core"}}
    assert base.retrieve("ferry", filter=narrow) == []  # records have no metadata


def test_an_answer_cites_the_records_address(world: World) -> None:
    base = world.aws.base(MINILM)
    live(base, world.api)
    question = "Why does the ferry to the island not sail on Sunday?"
    answer = base.ask(question)
    assert FORECAST in answer["output"]["text"]
    cited = [reference for citation in answer["citations"] for reference in citation["retrievedReferences"]]
    assert urls(cited)[0] == "https://ferries.example/sunday"
    streamed = world.aws.runtime.retrieve_and_generate_stream(**base.question(question))
    assert fold(streamed["stream"])["text"] == answer["output"]["text"]
    world.api.answer = lambda query: {"news": []}
    assert base.ask(question)["output"]["text"] == NO_ANSWER


def test_each_question_is_asked_anew(world: World) -> None:
    base = world.aws.base()
    live(base, world.api)
    for number in range(3):
        world.api.answer = lambda query, number=number: {"news": [{"text": f"State {number}."}]}  # type: ignore[misc]
        (found,) = base.retrieve("state?")
        assert found["content"]["row"][0]["columnValue"] == f"State {number}."


def test_a_slow_api_takes_no_longer_than_its_seconds(world: World) -> None:
    world.api.pause = 20.0
    base = world.aws.base()
    base.filled({"a.txt": "A first document."})
    live(base, world.api, seconds=1.0)
    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: base.retrieve("document"), range(4)))
    assert time.monotonic() - began < 15  # none of them waited for the API
    assert [[result["location"]["type"] for result in found] for found in answers] == [["S3"]] * 4


def test_an_api_that_fails_is_told_of_where_nothing_else_answers(world: World) -> None:
    """That nothing was found would not be true."""
    world.api.status = 503
    base = world.aws.base()
    live(base, world.api)
    for call in (lambda: base.retrieve("ferry"), lambda: base.ask("When does the ferry sail?")):
        code, _, message = told(call)
        assert code == "DependencyFailedException"
        assert "HTTP status 503" in message
    other = world.aws.base()
    other.filled({"a.txt": "A first document."})
    live(other, world.api)
    assert len(other.retrieve("document")) == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"url": "https://example.com/search"}, "'example.com' are not allowed"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "not allowed"),
        ({"url": "ftp://example.com/search"}, "http(s) address"),
        ({"url": "http://127.0.0.1:99999/"}, "http(s) address"),
        ({"parameters": {"q": "always the same"}}, "{question}"),
        ({"seconds": 1000}, "seconds"),
        ({"strange": True}, "strange"),
    ],
)
def test_an_api_that_could_never_be_asked_is_refused(world: World, options: Json, reason: str) -> None:
    code, _, message = told(lambda: live(world.aws.base(), world.api, **options))
    assert code == "ValidationException"
    assert reason in message
    assert world.api.seen == []


def test_a_live_source_is_not_ingested(world: World) -> None:
    base = world.aws.base()
    live(base, world.api)
    (source,) = world.aws.agent.list_data_sources(knowledgeBaseId=base.id)["dataSourceSummaries"]
    ids = {"knowledgeBaseId": base.id, "dataSourceId": source["dataSourceId"]}
    code, _, message = told(lambda: world.aws.agent.start_ingestion_job(**ids))
    assert code == "ValidationException"
    assert "asked with each question" in message
