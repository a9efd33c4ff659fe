"""From a specification to answers of the server, where a piece lies between the method and its model: texts and the
starter embedder, UMAP and its places."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("skops")

from tests.servers import RunningServer

ROOT = "/api/craton/v1"
PATIENCE = 240.0  # seconds; the machine may be busy
PRAISE = ["I love this", "what a joy it is", "simply wonderful work", "it made my day", "the best of all"]
BLAME = ["I hate this", "what a waste it is", "simply awful work", "it broke on day one", "the worst of all"]
THINGS = ["lamp", "chair", "book", "phone", "kettle", "bicycle", "coat", "film"]


def trained(client: httpx.Client, **document: Any) -> dict[str, Any]:
    """The job as it ended."""
    submitted = client.post(f"{ROOT}/trainings", json={"eval": {"report": False}} | document)
    assert submitted.status_code == 202, submitted.text
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        found: dict[str, Any] = client.get(f"{ROOT}/jobs/{submitted.json()['id']}").json()
        if found["status"] not in {"queued", "running"}:
            return found
        time.sleep(0.1)
    raise AssertionError("the run did not end")


@pytest.mark.slow
def test_texts_go_through_the_starter_embedder_in_training_and_in_serving(model_server: RunningServer) -> None:
    rows = [
        (f"{said}, the {thing}", mood)
        for mood, all_ in (("good", PRAISE), ("bad", BLAME))
        for said in all_
        for thing in THINGS
    ]
    content = "\n".join(["review,mood", *(f'"{review}",{mood}' for review, mood in rows)])
    with model_server.client() as client:
        added = added_file(client, "acme/reviews", "reviews.csv", content)
        done = trained(
            client,
            method="classification",
            data={"ref": f"acme/reviews@{added}", "target": "mood", "text": ["review"]},
            model={"use": "logistic-regression"},
            output={"model": "acme/moods"},
        )
        assert done["status"] == "succeeded", done["error"]
        assert done["result"]["metrics"]["accuracy"] > 0.9
        described = client.get("/acme/moods/resolve/main/model.json", follow_redirects=True).json()
        (field,) = described["signature"]["inputs"]
        assert (field["kind"], field["embedder"].partition("@")[0]) == ("text", "all-minilm-l6-v2")
        said = client.post(
            "/v1/models/acme/moods/predict",
            json={"rows": [{"review": "a splendid gift, we adore it"}, {"review": "terrible, I want my money back"}]},
        )
        assert said.status_code == 200, said.text
        assert said.json()["outputs"]["prediction"] == ["good", "bad"]
        wrong = client.post("/v1/models/acme/moods/predict", json={"rows": [{"review": 3}]})
        assert (wrong.status_code, "row 0, column 'review'" in wrong.text) == (400, True)
        alone = client.post("/v1/models/acme/moods/predict", json={"rows": [{"review": rows[0][0]}]}).json()
        both = client.post("/v1/models/acme/moods/predict", json={"rows": [{"review": one} for one, _ in rows[:2]]})
        assert both.json()["outputs"]["prediction"][:1] == alone["outputs"]["prediction"]


def added_file(client: httpx.Client, repo: str, path: str, content: str) -> str:
    """A dataset's new revision."""
    from huggingface_hub import HfApi

    hub = HfApi(endpoint=str(client.base_url), token=client.headers["authorization"].removeprefix("Bearer "))
    hub.create_repo(repo, repo_type="dataset", exist_ok=True)
    made = hub.upload_file(path_or_fileobj=content.encode(), path_in_repo=path, repo_id=repo, repo_type="dataset")
    return str(made.oid)


@pytest.mark.slow
def test_umap_places_new_rows_among_those_that_it_knows(server: RunningServer) -> None:
    pytest.importorskip("umap")
    with server.client() as client:
        done = trained(
            client,
            method="reduction",
            data={"ref": "sklearn:iris"},
            model={"use": "umap", "params": {"n_neighbors": 10, "n_epochs": 50}},
            output={"model": "acme/map"},
        )
        assert done["status"] == "succeeded", done["error"]
        assert done["result"]["metrics"]["trustworthiness"] > 0.9
        setosa, near, virginica = [5.1, 3.5, 1.4, 0.2], [5.0, 3.4, 1.5, 0.2], [6.5, 3.0, 5.8, 2.2]
        said = client.post("/v1/models/acme/map/transform", json={"rows": [setosa, near, virginica]})
        assert said.status_code == 200, said.text
        places = said.json()["outputs"]["coordinates"]
        near_by, far = (sum((a - b) ** 2 for a, b in zip(places[0], other, strict=True)) for other in places[1:])
        assert near_by * 4 < far
