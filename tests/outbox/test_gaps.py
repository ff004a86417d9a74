"""E7: what never arrived is named by the collector: all of it, and nothing else."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from collector.delivery import instances, union
from collector.prune import prune
from collector.rebuild import rebuild
from collector.store.engines import reading
from tests.collector.events import facet, raw, run_event
from tests.collector.patience import patient_session
from tests.collector.processes import Collector
from tests.collector.stores import fill, fill_in_batches, state
from tests.outbox.events import emit, transport

INSTANCE = "3f5e83fa-3480-44ff-99c5-ff943904e5e8"


def numbered(sequence: int, instance: str = INSTANCE, **more: Any) -> bytes:
    number = facet(instance=instance, sequence=sequence, **more)
    return raw(run_event("COMPLETE", run=sequence, run_facets={"headwater_delivery": number}))


def numbers(ranges: list[dict[str, int]]) -> set[int]:
    return {number for one in ranges for number in range(one["first"], one["last"] + 1)}


def post(client: FlaskClient, *bodies: bytes) -> None:
    assert client.post("/api/v1/lineage/batch", data=b"[" + b",".join(bodies) + b"]").status_code == 200


class Lossy:
    """A proxy that takes every event with a 2xx and loses one in a hundred on the way to the collector."""

    def __init__(self, target: str) -> None:
        self.lost: set[int] = set()
        chance = random.Random(7)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                events = body if isinstance(body, list) else [body]
                kept = []
                for one in events:
                    if chance.random() < 0.01:
                        outer.lost.add(one["run"]["facets"]["headwater_delivery"]["sequence"])
                    else:
                        kept.append(one)
                answer = patient_session().post(f"{target}/api/v1/lineage/batch", json=kept, timeout=10)
                assert answer.status_code == 200 and answer.json()["summary"]["failed"] == 0
                count = len(events)
                text = json.dumps(
                    {"status": "success", "summary": {"received": count, "successful": count, "failed": 0}}
                ).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with Collector(tmp_path, f"sqlite:///{tmp_path / 'lineage.db'}") as running:
        yield running


def test_every_event_that_is_lost_on_the_wire_is_named_and_no_other(collector: Collector, path: Path) -> None:
    lossy = Lossy(collector.url)
    sender = transport(path, lossy.url, linger=0.02)
    emit(sender, 3_000)
    assert sender.close(20)
    lossy.stop()
    answer = requests.get(f"{collector.url}/api/v1/delivery", timeout=10).json()
    (found,) = answer["instances"]
    lost = {number for number in lossy.lost if number <= found["highest"]}
    assert len(lost) > 5
    assert numbers(found["gaps"]) == lost
    assert (found["received"], found["missing"], answer["missing"]) == (3_000 - len(lossy.lost), len(lost), len(lost))
    assert found["lastJob"]["namespace"] == "jobs" and not found["truncated"]


def test_instances_and_their_gaps_on_both_engines(client: FlaskClient) -> None:
    other = "00000000-0000-0000-0000-000000000001"
    post(client, numbered(1), numbered(2), numbered(5), numbered(1_025), numbered(3_000), numbered(1, other))
    answer = client.get("/api/v1/delivery").get_json()
    assert [one["instance"] for one in answer["instances"]] == [other, INSTANCE]
    found = answer["instances"][1]
    assert found["gaps"] == [
        {"first": 3, "last": 4},
        {"first": 6, "last": 1_024},
        {"first": 1_026, "last": 2_999},
    ]
    assert (found["received"], found["highest"], found["missing"]) == (5, 3_000, 2_995)
    assert found["lastJob"] == {"namespace": "jobs", "name": "load"}
    assert answer["totalCount"] == 2 and answer["missing"] == 2_995
    gaps = client.get("/api/v1/delivery?gapsOnly=true&ranges=1").get_json()
    assert [one["instance"] for one in gaps["instances"]] == [INSTANCE]
    assert gaps["instances"][0]["truncated"] and len(gaps["instances"][0]["gaps"]) == 1
    assert client.get(f"/api/v1/delivery?instance={other}").get_json()["totalCount"] == 1
    assert client.get("/api/v1/delivery?instance=nonsense").status_code == 400
    assert client.get("/api/v1/delivery?limit=1&offset=1").get_json()["instances"][0]["instance"] == INSTANCE


def test_what_the_producer_gave_up_on_is_no_gap_unless_it_came_after_all(client: FlaskClient) -> None:
    dropped = [{"first": 2, "last": 4, "reason": "size"}, {"first": 6, "last": 6, "reason": "refused"}]
    post(client, numbered(1), numbered(8, dropped=dropped), numbered(3))
    (found,) = client.get("/api/v1/delivery").get_json()["instances"]
    assert found["drops"] == [
        {"first": 2, "last": 2, "reason": "size"},
        {"first": 4, "last": 4, "reason": "size"},
        {"first": 6, "last": 6, "reason": "refused"},
    ]
    assert numbers(found["gaps"]) == {5, 7}
    assert (found["dropped"], found["missing"]) == (3, 2)


@pytest.mark.parametrize(
    "number",
    [
        {"instance": "no uuid", "sequence": 1},
        {"instance": INSTANCE, "sequence": 0},
        {"instance": INSTANCE, "sequence": -5},
        {"instance": INSTANCE, "sequence": "7"},
        {"instance": INSTANCE, "sequence": 2**60},
        {"instance": INSTANCE},
        {"sequence": 1},
        {"instance": INSTANCE, "sequence": 1, "dropped": "all"},
    ],
    ids=str,
)
def test_number_that_makes_no_sense_says_nothing_and_keeps_the_event(
    client: FlaskClient, number: dict[str, Any]
) -> None:
    body = raw(run_event("COMPLETE", run_facets={"headwater_delivery": facet(**number)}))
    assert client.post("/api/v1/lineage", data=body).status_code == 201
    assert client.get("/api/v1/delivery").get_json() == {"instances": [], "totalCount": 0, "missing": 0}


def test_enormous_numbers_cost_nothing(client: FlaskClient) -> None:
    dropped = [{"first": 1, "last": 2**53 - 1, "reason": "size"}]
    post(client, numbered(1), numbered(2**53 - 1))
    (found,) = client.get("/api/v1/delivery").get_json()["instances"]
    assert found["gaps"] == [{"first": 2, "last": 2**53 - 2}]
    post(client, numbered(5, dropped=dropped))
    (found,) = client.get("/api/v1/delivery").get_json()["instances"]
    assert found["missing"] == 0 and found["dropped"] == 2**53 - 4


def test_number_is_not_kept_as_a_facet_of_the_run(client: FlaskClient) -> None:
    post(client, numbered(1), numbered(2))
    run = client.get("/api/v1/jobs/runs/00000000-0000-0000-0000-000000000001/facets?type=run").get_json()
    assert "headwater_delivery" not in run["facets"]


def test_prune_makes_no_gap_and_rebuild_changes_nothing(engine: Engine) -> None:
    fill_in_batches(engine, [[numbered(number)] for number in (1, 2, 4, 2_000)])
    before = state(engine)
    prune(engine, 2**62)
    rebuild(engine)
    after = state(engine)
    assert (after["delivery"], after["delivery_drop"]) == (before["delivery"], before["delivery_drop"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 4_000), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_gaps_are_the_complement(
    tmp_path_factory: pytest.TempPathFactory, found: list[int], chance: random.Random
) -> None:
    from collector.store.engines import open_engine, upgrade

    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('gaps') / 'lineage.db'}")
    upgrade(engine)
    bodies = [numbered(number) for number in found]
    chance.shuffle(bodies)
    fill(engine, bodies)
    with reading(engine) as connection:
        (one,) = instances(connection)
    engine.dispose()
    assert one.instance == UUID(INSTANCE)
    assert one.received == len(set(found))
    expected = set(range(1, max(found) + 1)) - set(found)
    assert {number for first, last in one.missing for number in range(first, last + 1)} == expected
    assert one.missing == union(one.missing)
