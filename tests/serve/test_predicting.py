"""Trained models through a real server: asked, taught, watched. The clients are httpx, boto3 and huggingface_hub."""

from __future__ import annotations

import concurrent.futures
import json
import math
import os
import re
import signal
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import numpy as np
import pytest
from huggingface_hub import HfApi, hf_hub_download

pytest.importorskip("sklearn")
pytest.importorskip("river")

from tests.engines.predictor.making import as_rows, churn_predictor, churn_rows, write_artifact
from tests.serve.predicting_server import learned_rows, predicting, publish, text_predictor
from tests.servers import RunningServer

CHURN = "/v1/models/acme/churn"
STREAM = "/v1/models/acme/stream"
SNAPSHOT_ROWS = 100


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    config = f"[engines.predictor]\nsnapshot_rows = {SNAPSHOT_ROWS}\n"
    with predicting(tmp_path_factory.mktemp("predicting"), config) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def hub(server: RunningServer) -> HfApi:
    return HfApi(endpoint=server.url, token=server.token)


def aws(server: RunningServer, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
    )


def refusal(reply: httpx.Response, status: int = 400) -> str:
    assert reply.status_code == status, reply.text
    return str(reply.json()["error"]["message"])


# --- watched: first, for what others ask counts, too ---------------------------------------------------------


@pytest.mark.slow
def test_drift_is_seen_where_it_happens(client: httpx.Client) -> None:
    before = client.get(f"{CHURN}/drift").raise_for_status().json()
    assert (before["rows"], before["verdict"], before["since"]) == (0, "none", None)
    client.post(f"{CHURN}/predict", json=as_rows(churn_rows(300, seed=3))).raise_for_status()
    calm = client.get(f"{CHURN}/drift").json()
    assert (calm["rows"], calm["verdict"]) == (300, "none")
    client.post(f"{CHURN}/predict", json=as_rows(churn_rows(900, seed=4, older=25))).raise_for_status()
    report = client.get(f"{CHURN}/drift").json()
    verdicts = {name: field["verdict"] for name, field in report["fields"].items()}
    assert verdicts == {"age": "much", "visits": "none", "plan": "none", "active": "none"}
    assert (report["rows"], report["verdict"]) == (1200, "much")
    assert report["fields"]["age"]["ks"] > 0.5
    assert sum(report["fields"]["age"]["live"]) == pytest.approx(1)
    metrics = client.get("/metrics").text
    line = next(line for line in metrics.splitlines() if 'field="age",model="acme/churn"' in line)
    assert float(line.split()[-1]) == pytest.approx(report["fields"]["age"]["psi"])
    assert "train it with Craton" in refusal(client.get("/v1/models/acme/texts/drift"))


# --- asked ------------------------------------------------------------------------------------------------------


def test_answers_are_those_of_the_predictor_itself(client: httpx.Client) -> None:
    frame = churn_rows(60, seed=5)
    predictor, _ = churn_predictor()
    rows = as_rows(frame)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    names = ["plan", "age", "active", "visits"]
    listed = [[row[name] for name in names] for row in rows]
    split = {"dataframe_split": {"columns": names, "data": listed}}
    expected = predictor.run("predict_proba", frame)
    for body in (
        {"rows": rows},
        rows,
        {"columns": columns},
        {"rows": listed, "names": names},
        {"instances": rows},
        split,
    ):
        answer = client.post(f"{CHURN}/predict_proba", json=body).raise_for_status().json()
        assert answer["outputs"]["prediction"] == expected["prediction"].tolist()
        assert np.allclose(answer["outputs"]["probabilities"], expected["probabilities"])
        assert answer["categories"] == {"probabilities": ["no", "yes"]}
        assert (answer["model"], answer["rows"]) == ("acme/churn", 60)
    in_order = [[row["age"], row["visits"], row["plan"], row["active"]] for row in rows]
    reply = client.post("/v1/models/acme%2Fchurn/predict", json={"rows": in_order}).raise_for_status()
    assert reply.json()["outputs"] == {"prediction": expected["prediction"].tolist()}
    assert reply.headers["x-craton-model"] == "acme/churn"
    assert client.post(f"{CHURN}/predict", json={"rows": []}).json()["error"]["param"] == "columns"
    empty = {"columns": {name: [] for name in columns}}
    assert client.post(f"{CHURN}/predict", json=empty).json()["outputs"] == {"prediction": []}


def test_csv_goes_in_and_out(client: httpx.Client) -> None:
    csv = {"content-type": "text/csv"}
    with_header = "plan,age,visits,active\r\nfree,31,,true\r\ngold,60.5,3,false\r\n"
    reply = client.post(f"{CHURN}/predict_proba", content=with_header, headers=csv).raise_for_status()
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    header, first, second = reply.text.split()
    assert header == "prediction,probabilities_no,probabilities_yes"
    asked = {"rows": [[31, None, "free", True], [60.5, 3, "gold", False]]}
    same = client.post(f"{CHURN}/predict_proba", json=asked).json()["outputs"]
    for line, label, shares in zip((first, second), same["prediction"], same["probabilities"], strict=True):
        assert line.split(",")[0] == label
        assert [float(cell) for cell in line.split(",")[1:]] == pytest.approx(shares)
    without = client.post(f"{CHURN}/predict", content="31,,free,1", headers={**csv, "accept": "application/json"})
    assert without.json()["outputs"]["prediction"] == same["prediction"][:1]
    wrong = client.post(f"{CHURN}/predict", content="31,,free,1\nold,2,free,0\n", headers=csv)
    assert refusal(wrong) == "rows: row 1, column 'age': 'old' is not a finite number"
    assert "line 1: 2 values, not 4" in refusal(
        client.post(f"{CHURN}/predict", content="1,2,free,1\n1,2\n", headers=csv)
    )
    assert "not valid CSV" in refusal(client.post(f"{CHURN}/predict", content='1,"2', headers=csv))


def test_rows_are_held_against_the_signature(client: httpx.Client) -> None:
    good = {"age": 31, "visits": None, "plan": "free", "active": True}
    bad = [
        good,
        {**good, "age": "31"},
        {**good, "visits": 2.5},
        {**good, "plan": 7},
        {**good, "active": 1},
        {**good, "age": None},
        {**good, "age": True},
    ]
    told = refusal(client.post(f"{CHURN}/predict", json=bad))
    assert told.split("; ", 1)[0] == "rows: row 1, column 'age': '31' is not a finite number"
    for place in (
        "row 2, column 'visits': 2.5 is not a whole number",
        "row 3, column 'plan': 7 is not one of 'free', 'gold', 'team'",
        "row 4, column 'active': 1 is not true or false",
        "row 5, column 'age': it is missing; the model needs a finite number in every row",
        "row 6, column 'age': True is not a finite number",
    ):
        assert place in told
    many = refusal(client.post(f"{CHURN}/predict", json=[{**good, "age": "x"}] * 25))
    assert many.count("column 'age'") == 10
    assert many.endswith("; and 15 more")
    huge = f'{{"columns":{{"age":[1{"0" * 400}],"visits":[1],"plan":["free"],"active":[true]}}}}'
    assert refusal(client.post(f"{CHURN}/predict", content=huge)).startswith("rows: row 0, column 'age'")


def test_missing_and_unknown_columns_are_named(client: httpx.Client) -> None:
    told = refusal(client.post(f"{CHURN}/predict", json=[{"agee": 31, "visits": 1, "plan": "free", "extra": 1}]))
    assert "missing: 'age', 'active'" in told
    assert "not known: 'agee' (is it 'age'?), 'extra'" in told
    assert "The model takes age (number), visits (integer), plan (category), active (boolean)" in told
    assert "5 columns without names came" in refusal(client.post(f"{CHURN}/predict", json=[[1, 2, "free", True, 0]]))


def test_what_a_model_does_not_do_is_refused(client: httpx.Client) -> None:
    assert "This model can do: predict and predict_proba" in refusal(client.post(f"{CHURN}/act", json=[[1]]))
    assert "'echo'" in refusal(client.post("/v1/models/echo/predict", json=[[1]]))
    refusal(client.post("/v1/models/acme/nothing/predict", json=[[1]]), 404)
    text = client.post(f"{CHURN}/predict", content="x", headers={"content-type": "text/plain"})
    assert "Send application/json or text/csv" in refusal(text)
    chat = {"model": "acme/churn", "messages": [{"role": "user", "content": "Hello"}]}
    assert "'chat' with the model 'acme/churn'" in refusal(client.post("/v1/chat/completions", json=chat))


def test_requests_that_come_together_run_together_and_fail_alone(client: httpx.Client) -> None:
    frame = churn_rows(64, seed=8)
    rows = as_rows(frame)
    expected = churn_predictor()[0].run("predict", frame)["prediction"].tolist()
    bodies: list[Any] = [[row] for row in rows]
    bodies[10] = [{**rows[10], "age": "x"}]

    def ask(body: Any) -> httpx.Response:
        return client.post(f"{CHURN}/predict", json=body)

    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        replies = list(threads.map(ask, bodies))
    assert "row 0, column 'age'" in refusal(replies.pop(10))
    del expected[10]
    assert [reply.json()["outputs"]["prediction"] for reply in replies] == [[label] for label in expected]


def test_texts_are_embedded_on_the_way(client: httpx.Client) -> None:
    texts = ["good and fast", "slow", "good and fast"]
    body = {"columns": {"review": texts, "age": [1.0, 2.0, 3.0]}}
    reply = client.post("/v1/models/acme/texts/predict", json=body).raise_for_status()
    vectors = client.post("/v1/embeddings", json={"model": "echo", "input": ["good and fast", "slow"]}).json()["data"]
    first, second = (item["embedding"] for item in vectors)
    import pandas as pd

    frame = pd.DataFrame({"review": [first, second, first], "age": [1.0, 2.0, 3.0]})
    expected = text_predictor().run("predict", frame)["prediction"].tolist()
    assert reply.json()["outputs"]["prediction"] == pytest.approx(expected, rel=1e-5)
    client.post("/v1/models/acme/texts/predict", json=[{"review": None, "age": 1}]).raise_for_status()
    wrong = client.post("/v1/models/acme/texts/predict", json=[{"review": 7, "age": 1}])
    assert refusal(wrong) == "rows: row 0, column 'review': 7 is not a text"
    time.sleep(0.2)
    asked = client.get("/api/craton/v1/requests?limit=50").json()["requests"]
    mine = [row for row in asked if row["resolved"] == "acme/texts" and row["status"] == "ok"][-1]
    trace = client.get(f"/api/craton/v1/requests/{mine['id']}").json()
    assert trace["parts"] == [f"{mine['id']}.1"]
    assert trace["request"]["first"][0] == ["good and fast", 1.0]
    assert trace["answer"]["first"][0] == reply.json()["outputs"]["prediction"][:1]


# --- the other dialects ---------------------------------------------------------------------------------------


def test_boto3_invokes_endpoints_and_models(server: RunningServer) -> None:
    frame = churn_rows(5, seed=2)
    labels = churn_predictor()[0].run("predict", frame)["prediction"].tolist()
    body = json.dumps({"rows": as_rows(frame)})
    runtime = aws(server, "sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName="acme/churn", ContentType="application/json", Body=body)
    assert [row["prediction"] for row in json.loads(answer["Body"].read())["predictions"]] == labels
    revision = answer["InvokedProductionVariant"]
    csv = "31,,free,true\n60.5,3,gold,false\n"
    answer = runtime.invoke_endpoint(EndpointName="acme/churn", ContentType="text/csv", Body=csv)
    assert answer["ContentType"] == "text/csv"
    assert answer["Body"].read().split() == [b"yes", b"yes"]
    answer = runtime.invoke_endpoint(
        EndpointName="acme",
        TargetModel="churn",
        TargetVariant=revision,
        ContentType="text/csv",
        Accept="application/json",
        CustomAttributes="verb=predict_proba",
        Body=csv,
    )
    assert len(json.loads(answer["Body"].read())["predictions"][0]["probabilities"]) == 2
    with pytest.raises(runtime.exceptions.ValidationError, match="row 0, column 'age': 'x'"):
        runtime.invoke_endpoint(EndpointName="acme/churn", ContentType="text/csv", Body="x,1,free,true")
    with pytest.raises(runtime.exceptions.ValidationError, match="There is no model"):
        runtime.invoke_endpoint(EndpointName="none", ContentType="text/csv", Body="1")
    bedrock = aws(server, "bedrock-runtime")
    arn = "arn:aws:bedrock:us-east-1::foundation-model/acme/churn"
    for model in ("acme/churn", arn):
        told = bedrock.invoke_model(modelId=model, body=body)
        assert [row["prediction"] for row in json.loads(told["body"].read())["predictions"]] == labels
    told = bedrock.invoke_model(modelId="acme/churn", body=csv, contentType="text/csv", accept="text/csv")
    assert (told["body"].read(), told["contentType"]) == (b"yes\r\nyes\r\n", "text/csv")
    proba = json.dumps({"verb": "predict_proba", "rows": as_rows(frame)})
    assert (
        "probabilities"
        in json.loads(bedrock.invoke_model(modelId="acme/churn", body=proba)["body"].read())["predictions"][0]
    )
    with pytest.raises(bedrock.exceptions.ValidationException, match="use Converse"):
        bedrock.invoke_model(modelId="echo", body=b"{}")


def test_the_open_inference_protocol(client: httpx.Client, server: RunningServer) -> None:
    assert httpx.get(f"{server.url}/v2/health/live", trust_env=False).json() == {"live": True}
    assert httpx.get(f"{server.url}/v2/health/ready", trust_env=False).json() == {"ready": True}
    assert httpx.get(f"{server.url}/v2", trust_env=False).status_code == 401
    assert client.get("/v2").json()["name"] == "craton"
    metadata = client.get("/v2/models/acme/churn").json()
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["age", "visits", "plan", "active"]
    assert [tensor["datatype"] for tensor in metadata["inputs"]] == ["FP64", "INT64", "BYTES", "BOOL"]
    (revision,) = metadata["versions"]
    assert client.get("/v2/models/acme/churn/ready").json() == {"name": "acme/churn", "ready": True}
    asked: dict[str, Any] = {
        "id": "7",
        "inputs": [
            {"name": "age", "shape": [2], "datatype": "FP64", "data": [31, 60.5]},
            {"name": "visits", "shape": [2, 1], "datatype": "INT64", "data": [[1], [3]]},
            {"name": "plan", "shape": [2], "datatype": "BYTES", "data": ["free", "gold"]},
            {"name": "active", "shape": [2], "datatype": "BOOL", "data": [True, False]},
        ],
    }
    answer = client.post(f"/v2/models/acme/churn/versions/{revision}/infer", json=asked).raise_for_status().json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("acme/churn", revision, "7")
    same = {"rows": [[31, 1, "free", True], [60.5, 3, "gold", False]]}
    native = client.post(f"{CHURN}/predict_proba", json=same).json()["outputs"]
    assert answer["outputs"] == [
        {"name": "prediction", "shape": [2], "datatype": "BYTES", "data": native["prediction"]}
    ]
    shares = client.post("/v2/models/acme/churn/infer", json={**asked, "outputs": [{"name": "probabilities"}]}).json()
    (tensor,) = shares["outputs"]
    assert tensor["shape"] == [2, 2]
    assert tensor["data"] == pytest.approx([share for row in native["probabilities"] for share in row])
    table = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "BYTES", "data": [31, 1, "free", True]}]}
    assert (
        client.post("/v2/models/acme/churn/infer", json=table).json()["outputs"][0]["data"] == native["prediction"][:1]
    )
    wrong = client.post("/v2/models/acme/churn/infer", json={"inputs": asked["inputs"][:3]})
    assert wrong.status_code == 400
    assert "missing: 'active'" in wrong.json()["error"]
    short = [{**asked["inputs"][0], "data": [1]}, *asked["inputs"][1:]]
    assert "its shape asks for 2" in client.post("/v2/models/acme/churn/infer", json={"inputs": short}).json()["error"]
    assert client.post("/v2/models/acme/none/infer", json=asked).status_code == 404


def test_tensors_come_and_go_as_bytes(client: httpx.Client) -> None:
    """As tritonclient and KServe's clients send them."""
    columns: dict[str, tuple[str, Any, bytes]] = {
        "age": ("FP32", [31, 60.5], struct.pack("<2f", 31, 60.5)),
        "visits": ("INT64", [1, 3], struct.pack("<2q", 1, 3)),
        "plan": ("BYTES", ["free", "gold"], b"\4\0\0\0free\4\0\0\0gold"),
        "active": ("BOOL", [True, False], b"\1\0"),
    }
    sent = {"id": "7", "inputs": [_tensor(name, kind, values) for name, (kind, values, _) in columns.items()]}
    expected = client.post("/v2/models/acme/churn/infer", json=sent | {"parameters": {"verb": "predict_proba"}}).json()
    inputs = [
        {**_tensor(name, kind, None), "parameters": {"binary_data_size": len(data)}}
        for name, (kind, _, data) in columns.items()
    ]
    tail = b"".join(data for _, _, data in columns.values())

    def infer(tail: bytes = tail, length: int | None = None, **more: Any) -> httpx.Response:
        head = json.dumps({"id": "7", "inputs": inputs, **more}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head) if length is None else length)}
        return client.post("/v2/models/acme/churn/infer", content=head + tail, headers=headers)

    everything = {"verb": "predict_proba", "binary_data_output": True}
    answer = infer(parameters=everything)
    length = int(answer.headers["inference-header-content-length"])
    told, bytes_ = json.loads(answer.content[:length]), answer.content[length:]
    labels, shares = expected["outputs"]
    texts = b"".join(struct.pack("<I", len(label)) + label.encode() for label in labels["data"])
    assert told["id"] == "7"
    assert [one["parameters"]["binary_data_size"] for one in told["outputs"]] == [len(texts), 32]
    assert bytes_ == texts + struct.pack("<4d", *shares["data"])
    mixed = infer(outputs=[{"name": "probabilities", "parameters": {"binary_data": False}}], parameters=everything)
    assert mixed.json()["outputs"] == [shares]
    only = infer(outputs=[{"name": "probabilities", "parameters": {"binary_data": True}}])
    assert only.content.endswith(struct.pack("<4d", *shares["data"]))
    assert infer().json()["outputs"] == [labels]

    assert "binary_tensor_data" in client.get("/v2").json()["extensions"]
    packed = {"content-encoding": "gzip"}
    for refused, why in (
        (client.post("/v2/models/acme/churn/infer", content=b"", headers=packed), "in the encoding 'gzip'"),
        (infer(length=0), "from 1 to"),
        (infer(length=10**6), "from 1 to"),
        (infer(tail=tail + b"x"), "1 bytes are left that no tensor claims"),
        (infer(tail=tail[:-1]), "1 bytes are left in the body, not 2"),
        (infer(tail=tail[:24] + b"\5" + tail[25:]), "are not the 2 values|in the middle of a value|not valid UTF-8"),
        (infer(tail=struct.pack("<2f", 31, math.nan) + tail[8:]), "row 1, column 'age': it is missing"),
        (client.post("/v2/models/acme/churn/infer", json={"inputs": inputs}), "need the header"),
    ):
        assert refused.status_code == 400
        assert re.search(why, refused.json()["error"])


def _tensor(name: str, kind: str, values: Any) -> dict[str, Any]:
    told = {"name": name, "shape": [2], "datatype": kind}
    return told if values is None else {**told, "data": values}


# --- taught -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_model_learns_while_it_serves_and_its_snapshots_are_revisions(client: httpx.Client, hub: HfApi) -> None:
    start = hub.model_info("acme/stream").sha
    old = {"rows": [{"age": 70, "plan": "free"}]}
    untaught = client.post(f"{STREAM}/predict_proba", json=old).json()["outputs"]["probabilities"]
    assert untaught == [[0.5, 0.5]]
    taught = client.post(f"{STREAM}/learn", json={"rows": learned_rows(60)}).raise_for_status().json()
    assert (taught["rows"], taught["state"]["seen"]) == (60, 60)
    rows = [{name: row[name] for name in ("age", "plan")} for row in learned_rows(10, seed=1)]
    target = [row["churned"] for row in learned_rows(10, seed=1)]
    taught = client.post(f"{STREAM}/learn", json={"rows": rows, "target": target}).raise_for_status().json()
    assert taught["state"]["seen"] == 70
    shares = client.post(f"{STREAM}/predict_proba", json=old).json()["outputs"]["probabilities"]
    assert shares[0][1] > 0.6
    assert hub.model_info("acme/stream").sha == start

    saved = client.post(f"{STREAM}/snapshot").raise_for_status().json()
    assert saved["rows"] == 70
    assert hub.model_info("acme/stream").sha == saved["revision"] != start
    again = client.post(f"{STREAM}/snapshot").json()
    assert (again["rows"], again["revision"]) == (0, saved["revision"])
    assert client.post(f"{STREAM}/predict_proba", json=old).json()["outputs"]["probabilities"] == shares
    pinned = client.post(f"/v1/models/acme/stream@{start}/predict_proba", json=old).raise_for_status().json()
    assert pinned["outputs"]["probabilities"] == untaught
    assert "leave the @revision out" in refusal(
        client.post(f"/v1/models/acme/stream@{start}/learn", json={"rows": learned_rows(1)})
    )


def test_snapshots_are_made_by_themselves(client: httpx.Client, hub: HfApi, server: RunningServer) -> None:
    before = hub.model_info("acme/stream").sha
    client.post(f"{STREAM}/learn", json={"rows": learned_rows(SNAPSHOT_ROWS, seed=2)}).raise_for_status()
    ends = time.monotonic() + 20
    while (after := hub.model_info("acme/stream").sha) == before and time.monotonic() < ends:
        time.sleep(0.1)
    assert after != before
    path = hf_hub_download("acme/stream", "model.json", endpoint=server.url, token=server.token, revision=after)
    lineage = json.loads(Path(path).read_text())["lineage"]
    assert lineage == {"learned_on": before, "learned_rows": str(SNAPSHOT_ROWS)}


@pytest.mark.slow
def test_unloading_keeps_what_was_learned_and_a_crash_goes_back_to_the_last_snapshot(
    client: httpx.Client, hub: HfApi
) -> None:
    seen = client.post(f"{STREAM}/learn", json={"rows": learned_rows(5, seed=3)}).json()["state"]["seen"]
    assert client.delete("/api/craton/v1/loaded/acme/stream").json() == {"unloaded": True}
    more = client.post(f"{STREAM}/learn", json={"rows": learned_rows(1, seed=4)}).raise_for_status().json()
    assert more["state"]["seen"] == seen + 1
    status = client.get("/api/craton/v1/status").json()["loaded"]
    (pid,) = {one["pid"] for one in status if one["model"] == "acme/stream"}
    os.kill(pid, signal.SIGKILL)
    ends = time.monotonic() + 60
    while (reply := client.post(f"{STREAM}/learn", json={"rows": learned_rows(1, seed=5)})).status_code >= 500:
        assert time.monotonic() < ends, reply.text
        time.sleep(0.2)
    assert reply.json()["state"]["seen"] == seen + 1


def test_whoever_may_ask_may_not_teach(client: httpx.Client, server: RunningServer) -> None:
    token = server.craton("keys", "create", "--role", "invoker").stdout.strip()
    headers = {"authorization": f"Bearer {token}"}
    row = {"rows": [{"age": 70, "plan": "free"}]}
    assert client.post(f"{STREAM}/predict", json=row, headers=headers).status_code == 200
    assert client.post(f"{STREAM}/learn", json={"rows": learned_rows(1)}, headers=headers).status_code == 403
    assert client.post(f"{STREAM}/snapshot", headers=headers).status_code == 403


def test_bad_answers_teach_nothing(client: httpx.Client) -> None:
    seen = client.post(f"{STREAM}/learn", json={"rows": learned_rows(1)}).json()["state"]["seen"]
    wrong = [*learned_rows(2), {"age": 1, "plan": "free", "churned": "perhaps"}]
    assert "'perhaps' is not one of 'no', 'yes'" in refusal(client.post(f"{STREAM}/learn", json={"rows": wrong}))
    assert "missing: 'churned'" in refusal(client.post(f"{STREAM}/learn", json=[{"age": 1, "plan": "free"}]))
    after = client.post(f"{STREAM}/learn", json={"rows": learned_rows(1)}).json()["state"]["seen"]
    assert after == seen + 1


def test_broken_artifacts_are_refused_with_the_reason(
    client: httpx.Client, server: RunningServer, tmp_path: Path
) -> None:
    predictor, parameters = churn_predictor()
    folder = write_artifact(tmp_path / "broken", predictor, "classification", parameters)
    manifest = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**manifest, "files": {"model.skops": "0" * 64}}))
    publish(server, "acme/broken", folder)
    told = refusal(client.post("/v1/models/acme/broken/predict", json=body_of_one()))
    assert "its bytes are not those that model.json names" in told


def body_of_one() -> dict[str, Any]:
    return {"rows": as_rows(churn_rows(1))}


def test_the_server_itself_loads_no_library(server: RunningServer) -> None:
    maps = Path(f"/proc/{server.pid}/maps").read_text()
    assert "pandas" not in maps
    assert "sklearn" not in maps
    assert "site-packages/torch" not in maps


# --- the command line ----------------------------------------------------------------------------------------


def test_a_file_of_rows_is_asked_and_comes_back_with_answers(server: RunningServer, tmp_path: Path) -> None:
    rows = churn_rows(1200, seed=5)  # more than one request's
    source, target = tmp_path / "rows.csv", tmp_path / "answers.csv"
    rows.to_csv(source, index=False)
    done = server.craton("predict", "acme/churn", str(source), "--output", str(target))
    assert "the model does not take it: churned" in done.stderr
    lines = target.read_text().splitlines()
    assert lines[0] == "age,visits,plan,active,churned,prediction"
    assert len(lines) == 1201
    told = [line.rsplit(",", 1)[1] for line in lines[1:]]
    records = tmp_path / "rows.json"
    records.write_text(rows.drop(columns="churned").to_json(orient="records"))
    answer = json.loads(server.craton("predict", "acme/churn", str(records), "--json").stdout)
    assert answer["rows"] == 1200
    assert answer["outputs"]["prediction"] == told
    shown = server.craton("predict", "acme/churn", "-", stdin=source.read_text())
    assert shown.stdout.split()[:4] == ["ROW", "prediction", "1", told[0]]
    assert "and 1,180 more rows" in shown.stderr


def test_rows_that_do_not_fit_are_refused_with_a_sentence(server: RunningServer, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    assert "holds no rows" in server.craton("predict", "acme/churn", str(empty), check=False).stderr
    broken = server.craton("predict", "acme/churn", "-", stdin='{"age": ', check=False)
    assert (broken.returncode, "not proper JSON" in broken.stderr) == (2, True)
    wrong = server.craton("predict", "acme/churn", "-", stdin="age,visits,plan,active\nold,1,free,true\n", check=False)
    assert wrong.returncode == 1
    assert "column 'age'" in wrong.stderr
