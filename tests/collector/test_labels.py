"""Owners and tags as rows: whose is what now, and what carries a tag."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.collector.answers import get
from tests.collector.events import JSON, dataset, dataset_event, facet, job_event, run_event, schema
from tests.collector.test_graph_api import LINEAGE, counted, store, walk


@pytest.fixture
def client(emptied: FlaskClient) -> FlaskClient:
    """A client of an empty collector, on each engine."""
    return emptied


def owned_by(*names: str, type: str | None = None) -> JSON:
    """The content of an ``ownership`` facet."""
    return {"owners": [{"name": name} | ({"type": type} if type else {}) for name in names]}


def tags(*keys: str, field: str | None = None) -> JSON:
    """The content of a ``tags`` facet."""
    return {"tags": [{"key": key, "value": "true"} | ({"field": field} if field else {}) for key in keys]}


def symlink(alias: str) -> JSON:
    """The content of a ``symlinks`` facet."""
    return {"identifiers": [{"namespace": "data", "name": alias, "type": "TABLE"}]}


def owners(client: FlaskClient, **page: int) -> dict[str, tuple[int, int]]:
    """Datasets and jobs by owner."""
    found = get(client, "/api/v1/owners", **page)["owners"]
    return {one["name"]: (one["datasets"], one["jobs"]) for one in found}


def owned(client: FlaskClient, name: str) -> list[tuple[str, str | None]]:
    """Node ids and types of ownership."""
    answer = get(client, f"/api/v1/owners/{quote(name, safe='')}")
    assert answer["totalCount"] == len(answer["owned"])
    return [(one["nodeId"], one["type"]) for one in answer["owned"]]


def members(client: FlaskClient, tag: str) -> list[str]:
    """Node ids of what carries a tag."""
    answer = get(client, f"/api/v1/tags/{quote(tag, safe='')}/members")
    assert answer["totalCount"] == len(answer["members"])
    return [one["nodeId"] for one in answer["members"]]


# --- owners ----------------------------------------------------------------------------------------------------------


def test_owners_are_counted_by_what_they_own(client: FlaskClient) -> None:
    a = dataset("a", ownership=owned_by("team:data", "user:jo"))
    job = {"ownership": facet(**owned_by("team:data", type="MAINTAINER"))}
    store(client, run_event(outputs=(a, dataset("b", ownership=owned_by("team:data"))), job_facets=job))
    assert owners(client) == {"team:data": (2, 1), "user:jo": (1, 0)}
    assert owned(client, "team:data") == [
        ("dataset:data:a", None),
        ("dataset:data:b", None),
        ("job:jobs:load", "MAINTAINER"),
    ]
    assert owners(client, limit=1, offset=1) == {"user:jo": (1, 0)}
    assert get(client, "/api/v1/owners", limit=0) == {"owners": [], "totalCount": 2}


def test_newest_ownership_replaces_the_one_before_whatever_arrives_first(client: FlaskClient) -> None:
    old, new = dataset("a", ownership=owned_by("old")), dataset("a", ownership=owned_by("new"))
    store(client, dataset_event(new, "2026-01-02T00:00:00Z"), dataset_event(old, "2026-01-01T00:00:00Z"))
    assert owners(client) == {"new": (1, 0)}


def test_deleted_ownership_is_no_longer(client: FlaskClient) -> None:
    store(client, job_event("2026-01-01T00:00:00Z", job_facets={"ownership": facet(**owned_by("jo"))}))
    assert owners(client) == {"jo": (0, 1)}
    gone = {"ownership": facet(_deleted=True, **owned_by("jo"))}
    store(client, job_event("2026-01-02T00:00:00Z", job_facets=gone))
    assert owners(client) == {}
    assert client.get("/api/v1/owners/jo").status_code == 404


def test_owner_of_two_types_owns_a_thing_once_in_counts(client: FlaskClient) -> None:
    both = {"owners": [{"name": "jo", "type": "OWNER"}, {"name": "jo", "type": "MAINTAINER"}]}
    store(client, dataset_event(dataset("a", ownership=both)))
    assert owners(client) == {"jo": (1, 0)}
    assert owned(client, "jo") == [("dataset:data:a", "MAINTAINER"), ("dataset:data:a", "OWNER")]


@pytest.mark.parametrize("table_first", [True, False])
def test_symlinked_names_are_one_dataset_with_the_newest_owners(client: FlaskClient, table_first: bool) -> None:
    table = dataset_event(dataset("table", ownership=owned_by("new")), "2026-01-02T00:00:00Z")
    path = dataset_event(dataset("/path", symlinks=symlink("table"), ownership=owned_by("old")), "2026-01-01T00:00:00Z")
    store(client, *((table, path) if table_first else (path, table)))
    assert owners(client) == {"new": (1, 0)}
    assert owned(client, "new") == [("dataset:data:/path", None)]


def test_names_that_are_tied_together_later_share_their_labels(client: FlaskClient) -> None:
    store(client, dataset_event(dataset("old", ownership=owned_by("jo"), tags=tags("gold"))))
    previous = {"namespace": "data", "name": "old"}
    renamed = {"lifecycleStateChange": "RENAME", "previousIdentifier": previous}
    store(client, dataset_event(dataset("new", lifecycleStateChange=renamed), "2026-01-02T00:00:00Z"))
    assert owned(client, "jo") == [("dataset:data:new", None)]
    assert members(client, "gold") == ["dataset:data:new"]


def test_hidden_and_dropped_things_are_not_listed(client: FlaskClient) -> None:
    jo = {"ownership": facet(**owned_by("jo"))}
    store(
        client,
        run_event(outputs=(dataset("a", ownership=owned_by("jo"), tags=tags("gold")),), job_facets=jo),
        dataset_event(dataset("b", ownership=owned_by("jo"))),
    )
    assert owners(client) == {"jo": (2, 1)}
    assert client.delete("/api/v1/namespaces/data/datasets/a").status_code == 200
    store(client, dataset_event(dataset("b", lifecycleStateChange={"lifecycleStateChange": "DROP"})))
    assert owners(client) == {"jo": (0, 1)}
    assert members(client, "gold") == []
    assert client.delete("/api/v1/namespaces/jobs").status_code == 200
    assert owners(client) == {}


def test_long_names_and_nul_are_cut_and_cleaned(client: FlaskClient) -> None:
    long = "x" * 5_000
    store(client, dataset_event(dataset("a", ownership=owned_by(long, "a\x00b", ""), tags=tags(long, "a\x00b"))))
    first, second = sorted(owners(client), key=len)
    assert (first, len(second.encode()) <= 2_000) == ("a\u2400b", True)
    assert owned(client, "a\x00b") == owned(client, first) == [("dataset:data:a", None)]
    assert owned(client, second) == [("dataset:data:a", None)]
    assert members(client, "a\u2400b") == ["dataset:data:a"]


@pytest.mark.parametrize(
    "path", ["/api/v1/owners?limit=-1", "/api/v1/owners?offset=x", "/api/v1/owners/jo?limit=100000"]
)
def test_bad_page_is_refused(shared: FlaskClient, path: str) -> None:
    response = shared.get(path)
    assert response.status_code == 400
    assert set(response.json) == {"code", "message", "errors"}


# --- tags ------------------------------------------------------------------------------------------------------------


def test_members_of_a_tag_are_datasets_columns_and_jobs(client: FlaskClient) -> None:
    a = dataset("a", schema=schema("email"), tags=tags("pii", field="email"))
    store(client, run_event(outputs=(a, dataset("b", tags=tags("pii"))), job_facets={"tags": facet(**tags("pii"))}))
    answer = get(client, "/api/v1/tags/pii/members")
    assert [(one["nodeId"], one["kind"], one["column"]) for one in answer["members"]] == [
        ("datasetField:data:a:email", "datasetField", "email"),
        ("dataset:data:b", "dataset", None),
        ("job:jobs:load", "job", None),
    ]
    assert get(client, "/api/v1/tags/pii/members", limit=1, offset=1)["members"] == answer["members"][1:2]


def test_tag_with_a_value_is_one_word(client: FlaskClient) -> None:
    told = {"tags": [{"key": "tier", "value": "gold"}, {"key": "pii", "value": "true"}]}
    store(client, dataset_event(dataset("a", tags=told)))
    assert members(client, "tier:gold") == members(client, "pii") == ["dataset:data:a"]


def test_tags_set_and_taken_away_by_hand_count(client: FlaskClient) -> None:
    store(client, run_event(outputs=(dataset("a", schema=schema("x"), tags=tags("gold")), "b")))
    assert client.delete("/api/v1/namespaces/data/datasets/a/tags/gold").status_code == 200
    assert client.post("/api/v1/namespaces/data/datasets/b/tags/gold").status_code == 200
    assert client.post("/api/v1/namespaces/data/datasets/a/fields/x/tags/gold").status_code == 200
    assert client.post("/api/v1/namespaces/jobs/jobs/load/tags/gold").status_code == 200
    assert members(client, "gold") == ["datasetField:data:a:x", "dataset:data:b", "job:jobs:load"]


def test_tag_that_nothing_carries_has_no_members_and_an_unknown_one_is_404(client: FlaskClient) -> None:
    assert client.put("/api/v1/tags/idle", json={"description": "none"}).status_code == 200
    assert members(client, "idle") == []
    response = client.get("/api/v1/tags/nothing/members")
    assert (response.status_code, response.json["message"]) == (404, "Tag 'nothing' not found.")


# --- graphs ----------------------------------------------------------------------------------------------------------


def test_graph_of_one_owner(client: FlaskClient) -> None:
    jo = {"ownership": facet(**owned_by("jo"))}
    store(
        client,
        run_event(run=1, job="one", inputs=(dataset("a", ownership=owned_by("jo")),), outputs=("b",)),
        run_event(run=2, job="two", inputs=("b",), outputs=("c",), job_facets=jo),
    )
    assert walk(client, "upstream", "dataset:data:c", "all", owner="jo") == ["two", "a"]
    assert walk(client, "upstream", "dataset:data:c", "all", owner=["jo", "nobody"], kind="job") == ["two"]
    note = get(client, f"{LINEAGE}/upstream", nodeId="dataset:data:c", owner="nobody")["note"]
    assert note.startswith("No node matches owner='nobody'")


def test_columns_of_an_owner_are_those_of_its_datasets(client: FlaskClient) -> None:
    origin: Any = {"inputFields": [{"namespace": "data", "name": "a", "field": "x"}]}
    made = dataset("b", columnLineage={"fields": {"y": origin}})
    store(client, run_event(inputs=(dataset("a", ownership=owned_by("jo")),), outputs=(made,)))
    node = "datasetField:data:b:y"
    assert walk(client, "upstream", node, "column", owner="jo") == ["a.x"]
    assert walk(client, "upstream", node, "column", owner="nobody") == []


def test_filter_at_a_moment_sees_the_labels_of_then(client: FlaskClient) -> None:
    def flow(time: str, run: int, owner: str) -> JSON:
        return run_event(time=time, run=run, inputs=(dataset("a", ownership=owned_by(owner)),), outputs=("b",))

    store(client, flow("2026-01-01T00:00:00Z", 1, "jo"), flow("2026-01-03T00:00:00Z", 2, "mo"))
    query: Any = {"asOf": "2026-01-02T00:00:00Z"}
    assert walk(client, "upstream", "dataset:data:b", owner="jo", **query) == ["a"]
    assert walk(client, "upstream", "dataset:data:b", owner="mo", **query) == []
    assert walk(client, "upstream", "dataset:data:b", owner="mo") == ["a"]


# --- cost ------------------------------------------------------------------------------------------------------------


def test_event_without_labels_costs_no_statement_of_theirs(client: FlaskClient) -> None:
    store(client, run_event(run=1, outputs=(dataset("a", ownership=owned_by("jo"), tags=tags("gold")),)))
    engine_statements = []
    with counted(client) as statements:
        store(client, run_event(run=2, inputs=("a",), outputs=("b",)))
        engine_statements += statements
    new = ("owner", "tagged", "assertion", "assertion_result", "job_dependency")
    assert not [one for one in engine_statements if any(f'"{name}"' in one for name in new)]
