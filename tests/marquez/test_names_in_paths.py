"""Any name can stand in a path, its slashes too: what is sent with it and what is stored tell what the path means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.collector.patience import patient_session
from tests.collector.processes import Collector
from tests.marquez.scenario import Call, url

SPLITTING = ("a/jobs/b", "a/datasets/b", "datasets/jobs/datasets", "a/jobs/b/versions/c/tags/d", "/a/", "a//b")
ENDING = ("c/jobs", "c/datasets")  # which read as the lists of namespace c, once that is there
ENCODED = ("a%2Fjobs%2Fb", "a;b=c", "a?b#c", "100%", "%25", "..", "a/../b", "a+b c", "ä\n")
MINE = {"ownerName": "me"}
JOB = {"type": "BATCH"}
TABLE = {"type": "DB_TABLE", "physicalName": "t", "sourceName": "s"}
STREAM = TABLE | {"type": "STREAM"}


@pytest.fixture
def served(database: str, tmp_path: Path) -> Iterator[Call]:
    """A call of a collector in a process of its own."""
    with Collector(tmp_path, database) as collector, patient_session() as session:

        def calling(method: str, path: str, body: Any = None) -> tuple[int, Any]:
            request = requests.Request(method, f"{collector.url}/api/v1", json=body).prepare()
            request.url = f"{collector.url}/api/v1{path}"  # as it is: requests would take '..' away
            answer = session.send(request, timeout=10)
            return answer.status_code, answer.json()

        yield calling


@pytest.mark.parametrize("neighbour", [False, True], ids=["alone", "beside namespace a"])
def test_every_name_can_be_told_of_and_asked_for(call: Call, neighbour: bool) -> None:
    if neighbour:
        call("PUT", "/namespaces/a", MINE)
    for name in SPLITTING + ENDING + ENCODED:
        play(call, name)


def test_every_name_goes_through_a_socket(served: Call) -> None:
    for name in SPLITTING + ENDING + ENCODED:
        play(served, name)


def play(call: Call, name: str) -> None:
    """Things of that name, told of and asked for."""

    def ask(method: str, template: str, body: Any = None) -> Any:
        status, answer = call(method, url(template, name=name), body)
        assert status == 200, (name, method, template, answer)
        return answer

    call("PUT", "/sources/s", {"type": "POSTGRESQL", "connectionUrl": "jdbc:postgresql://h/d"})
    assert ask("PUT", "/namespaces/{name}", MINE)["name"] == name
    assert ask("PUT", "/sources/{name}", {"type": "POSTGRESQL", "connectionUrl": "u"})["name"] == name
    assert ask("PUT", "/tags/{name}", {})["name"] == name
    plain = {"namespace": name, "name": "plain"}
    for kind, body in (("jobs", JOB), ("datasets", TABLE), ("datasets", STREAM)):
        for of_kind in (f"/namespaces/{{name}}/{kind}/plain", f"/namespaces/{{name}}/{kind}/{{name}}"):
            told = ask("PUT", of_kind, body)
            assert told["namespace"] == name, (of_kind, told)
            assert ask("GET", of_kind)["id"] == told["id"]
            assert ask("GET", f"{of_kind}/versions")["totalCount"] >= 1
            ask("POST", f"{of_kind}/tags/{{name}}")
            ask("DELETE", f"{of_kind}/tags/{{name}}")
        assert {"namespace": name, "name": name} in [
            one["id"] for one in ask("GET", f"/namespaces/{{name}}/{kind}")[kind]
        ]
        assert plain in [one["id"] for one in ask("GET", f"/namespaces/{{name}}/{kind}")[kind]]
    assert ask("GET", "/namespaces/{name}")["ownerName"] == "me"
    assert ask("GET", "/sources/{name}")["name"] == name


def test_body_tells_a_namespace_from_a_job_or_dataset(call: Call) -> None:
    for namespace in ("a", "a/jobs/b"):
        assert call("PUT", url("/namespaces/{one}", one=namespace), MINE)[1]["name"] == namespace
    call("PUT", "/sources/s", {"type": "POSTGRESQL", "connectionUrl": "u"})
    assert call("PUT", "/namespaces/a/jobs/b", JOB)[1]["id"] == {"namespace": "a", "name": "b"}
    assert call("PUT", "/namespaces/a/jobs/b", MINE)[1]["name"] == "a/jobs/b"
    assert call("PUT", "/namespaces/a%2Fdatasets%2Fb/jobs/c", MINE)[1]["name"] == "a/datasets/b/jobs/c"
    assert call("PUT", "/namespaces/a/datasets/b%2Fjobs%2Fc", TABLE)[1]["id"]["name"] == "b/jobs/c"


def test_longest_stored_namespace_counts_where_no_job_is_stored(call: Call) -> None:
    for namespace in ("a", "a/jobs/b"):
        call("PUT", url("/namespaces/{one}", one=namespace), MINE)
    path = "/namespaces/a%2Fjobs%2Fb/jobs/c"
    assert call("PUT", path, JOB)[1]["id"] == {"namespace": "a/jobs/b", "name": "c"}
    assert call("GET", path)[1]["id"] == {"namespace": "a/jobs/b", "name": "c"}


def test_body_that_fits_no_reading_is_refused_as_before(call: Call) -> None:
    assert call("PUT", "/namespaces/a/jobs/b", {})[0] == 422
    assert "type" in call("PUT", "/namespaces/a/jobs/b", {})[1]["errors"]
    assert call("PUT", "/namespaces/a/jobs/b", [])[0] == 422
