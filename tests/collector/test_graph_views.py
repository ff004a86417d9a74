"""How graphs are shown: evidence, filters, groups, highlights, links, pictures; and paths from node to node."""

from __future__ import annotations

import shutil
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient

from lineage.graph import EVIDENCE
from tests.collector.answers import get, get_text, parsed
from tests.collector.events import JSON, columns, dataset, facet, job_event, run_event, schema
from tests.collector.test_graph_api import LINEAGE, counted, edges, flow, ids, short, star, store, walk

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def client(emptied: FlaskClient) -> FlaskClient:
    """A client of an empty collector, on each engine."""
    return emptied


def stated(*names: str) -> JSON:
    """The content of a ``lineage`` facet of a dataset."""
    return {"inputs": [{"type": "DATASET", "namespace": "data", "name": name} for name in names]}


BULK = run_event(
    run=20,
    job="bulk",
    inputs=("a", "b", "c"),
    outputs=(
        dataset("a2", lineage=stated("a")),
        dataset("b2", lineage=stated("b")),
        dataset("c2", columnLineage=columns(x=[("c", "x")])),
    ),
)


def notes(client: FlaskClient, **query: Any) -> str | None:
    found: str | None = get(client, f"{LINEAGE}/upstream", **query).get("note")
    return found


# --- evidence --------------------------------------------------------------------------------------------------------


def test_steps_of_a_job_carry_their_evidence(client: FlaskClient) -> None:
    store(client, BULK, run_event(run=2, job="plain", inputs=("a2", "c2"), outputs=("z",)))
    assert edges(client, "upstream", "dataset:data:z", "all") == {
        "a > bulk": "explicit",
        "b > bulk": "explicit",
        "c > bulk": "column",
        "bulk > a2": "explicit",
        "bulk > c2": "column",
        "a2 > plain": "declared",
        "c2 > plain": "declared",
        "plain > z": "declared",
    }


def test_evidence_leaves_out_what_is_known_less_well_and_all_that_only_it_led_to(client: FlaskClient) -> None:
    store(client, *flow("deep", "c"), *flow("far", "a", first=5), BULK)
    store(
        client,
        run_event(run=9, job="more", inputs=("c2",), outputs=(dataset("z", columnLineage=columns(x=[("c2", "x")])),)),
    )
    assert walk(client, "upstream", "dataset:data:z") == ["c2", "c", "deep"]
    assert walk(client, "upstream", "dataset:data:z", evidence="any") == ["c2", "c", "deep"]
    assert walk(client, "upstream", "dataset:data:z", evidence="column") == ["c2", "c"]
    assert walk(client, "upstream", "dataset:data:z", evidence="explicit") == []
    assert walk(client, "upstream", "dataset:data:a2", evidence="explicit") == ["a"]
    assert walk(client, "upstream", "dataset:data:a2", "all", evidence="explicit") == ["a", "b", "bulk"]
    for level in ("explicit", "column", "any"):
        found = get(
            client, f"{LINEAGE}/diagram", nodeId="dataset:data:z", format="json", evidence=level, direction="any"
        )
        worst = {"explicit": 0, "column": 2, "any": len(EVIDENCE)}[level]
        assert all(EVIDENCE.index(edge["evidence"]) <= worst for edge in found["edges"])


def test_marquez_graph_takes_evidence_too(client: FlaskClient) -> None:
    store(client, BULK, *flow("a2", "z"), run_event(run=30, job="late", inputs=("b2", "c"), outputs=("y",)))
    nodes = get(client, LINEAGE, nodeId="dataset:data:a2", evidence="explicit")["graph"]
    assert ids(nodes) == ["a", "a2", "b", "b2", "bulk"]
    assert {(short(e["origin"]), short(e["destination"])) for one in nodes for e in one["inEdges"]} == {
        ("a", "bulk"), ("b", "bulk"), ("bulk", "a2"), ("bulk", "b2"),
    }  # fmt: skip
    upstream = get(client, LINEAGE, nodeId="dataset:data:a2", evidence="column", direction="upstream")["graph"]
    assert ids(upstream) == ["a", "a2", "b", "c", "bulk"]
    response = client.get(
        LINEAGE, query_string={"nodeId": "dataset:data:z", "evidence": "column", "aggregateToParentRun": "true"}
    )
    assert (response.status_code, list(response.json["errors"])) == (400, ["evidence"])


# --- columns ---------------------------------------------------------------------------------------------------------


def origin(name: str, column: str, kind: str, subtype: str, *, masking: bool = False) -> JSON:
    way = {"type": kind, "subtype": subtype, "description": "", "masking": masking}
    return {"namespace": "data", "name": name, "field": column, "transformations": [way]}


def test_columns_tell_direct_from_indirect_and_what_is_masked(client: FlaskClient) -> None:
    made = {
        "hash": {"inputFields": [origin("a", "email", "DIRECT", "TRANSFORMATION", masking=True)]},
        "id": {"inputFields": [origin("a", "id", "DIRECT", "IDENTITY"), origin("a", "day", "INDIRECT", "FILTER")]},
    }
    store(client, run_event(inputs=("a",), outputs=(dataset("b", columnLineage={"fields": made}),)))
    query = {"nodeId": "dataset:data:b", "granularity": "column"}
    found = {short(edge["origin"]): edge for edge in get(client, f"{LINEAGE}/upstream", **query)["edges"]}
    assert {name: edge["indirect"] for name, edge in found.items()} == {"a.email": False, "a.id": False, "a.day": True}
    assert found["a.email"]["transformations"] == [
        {"type": "DIRECT", "subtype": "TRANSFORMATION", "description": "", "masking": True}
    ]
    assert found["a.day"]["transformations"][0]["subtype"] == "FILTER"
    (drawn,) = parsed([get_text(client, f"{LINEAGE}/diagram", **query)])
    assert drawn.ok, drawn.error
    arrows = {drawn.labels[one["origin"]]: (one["stroke"], one["label"]) for one in drawn.arrows}
    assert arrows["id"] == ("normal", "")
    assert arrows["day"] == ("dotted", "filter")
    assert arrows["email"][0] == "normal" and "masked" in arrows["email"][1]
    assert sorted(box["title"] for box in drawn.subgraphs) == ["a", "b"]


# --- filters ---------------------------------------------------------------------------------------------------------


def named(namespace: str, name: str, **facets: JSON) -> JSON:
    return dataset(name, **facets) | {"namespace": namespace}


@pytest.fixture
def shop(client: FlaskClient) -> FlaskClient:
    """raw (pg) → load → staged (lake) → tidy → orders (lake) → report → sales (bi)"""
    tags = {"tags": [{"key": "gold", "value": "true", "source": "USER"}]}
    raw, staged, sales = named("pg", "raw"), named("lake", "staged"), named("bi", "sales")
    orders = named("lake", "orders", schema=schema("x"), tags=tags)
    store(
        client,
        run_event(run=1, job="load", namespace="dbt", inputs=(raw,), outputs=(staged,)),
        run_event(run=2, job="tidy", namespace="dbt", inputs=(staged,), outputs=(orders,)),
        run_event(run=3, job="report", namespace="bi", inputs=(orders,), outputs=(sales,)),
    )
    return client


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"namespace": "pg"}, {"raw > sales": "declared"}),
        (
            {"namespace": ["pg", "dbt"]},
            {"raw > load": "declared", "load > tidy": "declared", "tidy > sales": "declared"},
        ),
        ({"kind": "job"}, {"load > tidy": "declared", "tidy > report": "declared", "report > sales": "declared"}),
        ({"kind": "dataset", "namespace": "lake"}, {"staged > orders": "declared", "orders > sales": "declared"}),
        ({"match": "*ra*"}, {"raw > sales": "declared"}),
        ({"tag": "gold"}, {"orders > sales": "declared"}),
        ({"tag": ["gold", "no such tag"], "match": "o*"}, {"orders > sales": "declared"}),
    ],
)
def test_filter_keeps_what_fits_and_the_start_and_joins_them(shop: FlaskClient, query: Any, found: JSON) -> None:
    assert edges(shop, "upstream", "dataset:bi:sales", "all", **query) == found
    assert notes(shop, nodeId="dataset:bi:sales", **query) is None


@pytest.mark.parametrize("query", [{"namespace": "nowhere"}, {"match": "zebra"}, {"tag": "zebra"}, {"kind": "column"}])
def test_filter_that_fits_nothing_shows_the_start_and_says_so(shop: FlaskClient, query: JSON) -> None:
    answer = get(shop, f"{LINEAGE}/upstream", nodeId="dataset:bi:sales", **query)
    assert ids(answer["nodes"]) == ["sales"]
    (name,) = query
    assert answer["note"].startswith(f"No node matches {name}=") and "only the start" in answer["note"]
    drawn = get(shop, f"{LINEAGE}/diagram", nodeId="dataset:bi:sales", format="json", **query)
    assert drawn["note"] == answer["note"]
    assert "sales" in get_text(shop, f"{LINEAGE}/diagram", nodeId="dataset:bi:sales", **query)


def test_jobs_that_are_filtered_out_join_only_what_flows_through_them(client: FlaskClient) -> None:
    store(client, BULK)
    query = {"nodeId": "dataset:data:a", "direction": "any", "format": "json", "kind": "dataset"}
    found = get(client, f"{LINEAGE}/diagram", **query)["edges"]
    assert {f"{short(e['origin'])} > {short(e['destination'])}": e["evidence"] for e in found} == {
        "a > a2": "explicit", "b > b2": "explicit", "c > c2": "column",
    }  # fmt: skip


def test_tags_that_were_set_by_hand_and_tags_of_columns_count(client: FlaskClient) -> None:
    tags = {"tags": [{"key": "pii", "value": "true", "field": "email"}]}
    store(
        client,
        run_event(inputs=(dataset("a", schema=schema("email"), tags=tags), "b", "c"), outputs=("z",)),
    )
    assert walk(client, "upstream", "dataset:data:z", tag="pii") == ["a"]
    assert client.post("/api/v1/namespaces/data/datasets/b/tags/pii").status_code == 200
    assert walk(client, "upstream", "dataset:data:z", tag="pii") == ["a", "b"]


def test_limit_counts_what_is_shown(shop: FlaskClient) -> None:
    answer = get(shop, f"{LINEAGE}/upstream", nodeId="dataset:bi:sales", kind="dataset", limit=2)
    assert ids(answer["nodes"]) == ["sales", "orders"]
    assert (answer["truncated"], answer["missing"]) == (True, 2)


# --- groups ----------------------------------------------------------------------------------------------------------


def child(run: int, job: str, parent: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> JSON:
    body = facet(
        run={"runId": f"00000000-0000-0000-0000-0000000000{90 + len(parent)}"},
        job={"namespace": "jobs", "name": parent},
    )
    return run_event(run=run, job=job, inputs=inputs, outputs=outputs, run_facets={"parent": body})


def test_jobs_become_the_root_of_their_parents(client: FlaskClient) -> None:
    store(
        client,
        child(1, "dag.t1", "dag", ("a",), ("b",)),
        child(2, "dag.group.t2", "dag.group", ("b",), ("c",)),
        child(3, "dag.group", "dag", (), ()),
        run_event(run=4, job="alone", inputs=("c",), outputs=("d",)),
    )
    query = {"nodeId": "dataset:data:d", "collapse": "parent"}
    answer = get(client, f"{LINEAGE}/upstream", **query)
    assert set(ids(answer["nodes"])) == {"d", "alone", "c", "dag", "b", "a"}
    (dag,) = (node for node in answer["nodes"] if node["name"] == "dag")
    assert (dag["kind"], dag["detail"], dag["distance"]) == ("job", "2 jobs", 2)
    assert edges(client, "upstream", "dataset:data:d", "all", collapse="parent") == {
        "a > dag": "declared",
        "dag > b": "declared",
        "b > dag": "declared",
        "dag > c": "declared",
        "c > alone": "declared",
        "alone > d": "declared",
    }
    assert edges(client, "upstream", "job:jobs:alone", "job", collapse="parent") == {"dag > alone": "declared"}
    from_within = get(client, f"{LINEAGE}/downstream", nodeId="job:jobs:dag.t1", collapse="parent")
    assert from_within["nodeId"] == "job:jobs:dag"
    (drawn,) = parsed([get_text(client, f"{LINEAGE}/diagram", **query)])
    assert drawn.ok and "dag\n2 jobs" in drawn.labels.values()


def test_namespaces_become_one_node_each(shop: FlaskClient) -> None:
    query = {"nodeId": "dataset:bi:sales", "collapse": "namespace"}
    answer = get(shop, f"{LINEAGE}/upstream", **query)
    assert [(node["id"], node["kind"], node["detail"], node["distance"]) for node in answer["nodes"]] == [
        ("namespace:bi", "namespace", "1 dataset, 1 job", 0),
        ("namespace:lake", "namespace", "2 datasets", 1),
        ("namespace:dbt", "namespace", "2 jobs", 2),
        ("namespace:pg", "namespace", "1 dataset", 3),
    ]
    found = {(edge["origin"], edge["destination"]) for edge in answer["edges"]}
    lake, dbt = "namespace:lake", "namespace:dbt"
    assert found == {("namespace:pg", dbt), (dbt, lake), (lake, dbt), (lake, "namespace:bi")}
    (drawn,) = parsed([get_text(shop, f"{LINEAGE}/diagram", **query)])
    assert drawn.ok and not drawn.subgraphs
    assert {node["shape"] for node in drawn.nodes} == {"subroutine"}


# --- hidden ----------------------------------------------------------------------------------------------------------


def test_what_a_delete_hides_is_left_out(shop: FlaskClient) -> None:
    assert shop.delete("/api/v1/namespaces/pg/datasets/raw").status_code == 200
    assert shop.delete("/api/v1/namespaces/dbt/jobs/tidy").status_code == 200
    assert walk(shop, "upstream", "dataset:bi:sales", "all") == ["orders", "report", "staged", "load"]
    assert walk(shop, "upstream", "dataset:bi:sales") == ["orders", "staged"]
    assert walk(shop, "downstream", "job:dbt:load", "job") == ["report"]
    assert "raw" not in get_text(shop, f"{LINEAGE}/diagram", nodeId="dataset:bi:sales")


def test_columns_of_a_hidden_dataset_are_left_out(client: FlaskClient) -> None:
    store(
        client, run_event(inputs=("a", "b"), outputs=(dataset("c", columnLineage=columns(x=[("a", "x"), ("b", "x")])),))
    )
    assert client.delete("/api/v1/namespaces/data/datasets/a").status_code == 200
    assert walk(client, "upstream", "dataset:data:c", "column") == ["b.x"]


# --- highlights and links --------------------------------------------------------------------------------------------


def emphasized(client: FlaskClient, **query: Any) -> tuple[set[str], set[tuple[str, str]]]:
    """The nodes of a diagram that stand out, and the arrows that do, by the first lines of their labels."""
    (drawn,) = parsed([get_text(client, f"{LINEAGE}/diagram", **query)])
    assert drawn.ok, drawn.error
    first = {id_: label.partition("\n")[0] for id_, label in drawn.labels.items()}
    nodes = {first[node["id"]] for node in drawn.nodes if "highlight" in node["classes"]}
    thick = [arrow for arrow in drawn.arrows if arrow["stroke"] == "thick"]
    return nodes, {(first[arrow["origin"]], first[arrow["destination"]]) for arrow in thick}


def test_highlighted_nodes_stand_out_with_the_edges_between_them(shop: FlaskClient) -> None:
    query = {"nodeId": "dataset:bi:sales", "highlight": ["dataset:lake:staged", "job:dbt:tidy", "dataset:pg:raw"]}
    assert emphasized(shop, **query) == ({"staged", "tidy", "raw"}, {("staged", "tidy")})
    for suffix in ("dot", "svg"):
        assert "#db2777" in get_text(shop, f"{LINEAGE}/diagram.{suffix}", **query)


def test_group_stands_out_for_a_highlighted_node_that_it_holds(shop: FlaskClient) -> None:
    query = {"nodeId": "dataset:bi:sales", "collapse": "namespace"}
    both = {"highlight": ["dataset:pg:raw", "job:dbt:tidy"]}
    assert emphasized(shop, **query, **both) == ({"pg", "dbt"}, {("pg", "dbt")})
    assert emphasized(shop, **query, highlight="namespace:pg") == ({"pg"}, set())
    assert emphasized(shop, **query, kind="dataset", highlight="job:dbt:tidy") == (set(), set())  # no group holds it
    for suffix in ("dot", "svg"):
        assert "#db2777" in get_text(shop, f"{LINEAGE}/diagram.{suffix}", **query, **both)


def test_parent_stands_out_for_a_highlighted_job_of_its(client: FlaskClient) -> None:
    store(client, child(1, "dag.group.t", "dag.group", ("a",), ("b",)), child(2, "dag.group", "dag", (), ()))
    for job in ("dag.group.t", "dag.group", "dag"):
        query = {"nodeId": "dataset:data:b", "collapse": "parent", "highlight": f"job:jobs:{job}"}
        assert emphasized(client, **query) == ({"dag"}, set())


def test_highlight_that_is_no_node_is_refused(shop: FlaskClient) -> None:
    for wrong, status in (("dataset:lake:zebra", 404), ("zebra", 400), ("run:x", 400)):
        response = shop.get(f"{LINEAGE}/diagram", query_string={"nodeId": "dataset:bi:sales", "highlight": wrong})
        assert response.status_code == status
        assert status == 404 or list(response.json["errors"]) == ["highlight"]
    elsewhere = {"nodeId": "dataset:pg:raw", "direction": "upstream", "highlight": "dataset:bi:sales"}
    assert emphasized(shop, **elsewhere) == (set(), set())


def test_nodes_lead_to_their_own_pictures(shop: FlaskClient) -> None:
    (drawn,) = parsed([get_text(shop, f"{LINEAGE}/diagram", nodeId="dataset:bi:sales", links="true")])
    picture = ElementTree.fromstring(get_text(shop, f"{LINEAGE}/diagram.svg", nodeId="dataset:bi:sales", links="true"))
    links = [one.get("{http://www.w3.org/1999/xlink}href", "") for one in picture.iter(f"{SVG}a")]
    assert sorted(drawn.links.values()) == sorted(link.replace("%3A", ":") for link in links)
    assert len(links) == 7
    for link in links:
        parts = urlsplit(link)
        assert (parts.scheme, parts.netloc) == ("http", "localhost")
        assert shop.get(parts.path, query_string=parse_qs(parts.query)).status_code == 200
    assert "click" not in get_text(shop, f"{LINEAGE}/diagram", nodeId="dataset:bi:sales")


def test_host_that_is_no_host_gives_no_links(shop: FlaskClient) -> None:
    query = {"nodeId": "dataset:bi:sales", "links": "true"}
    for suffix in ("mmd", "svg", "dot"):
        response = shop.get(f"{LINEAGE}/diagram.{suffix}", query_string=query, headers={"Host": 'x"><script>'})
        assert "<script" not in response.text


# --- pictures --------------------------------------------------------------------------------------------------------


def test_pictures_are_images_that_a_page_can_hold(shop: FlaskClient) -> None:
    query = {"nodeId": "dataset:bi:sales", "layout": "TB", "title": "what <sales> needs"}
    for form, kind, start in (("svg", "image/svg+xml", b"<?xml"), ("png", "image/png", b"\x89PNG")):
        one, other = (
            shop.get(f"{LINEAGE}/diagram.{form}", query_string=query),
            shop.get(f"{LINEAGE}/diagram", query_string=query | {"format": form}),
        )
        assert (one.status_code, one.mimetype, one.data) == (200, kind, other.data)
        assert one.data.startswith(start)
        assert one.headers["Content-Security-Policy"] == "default-src 'none'"
        assert one.headers["X-Content-Type-Options"] == "nosniff"
        assert one.headers["Cache-Control"] == "no-cache"
    picture = ElementTree.fromstring(get_text(shop, f"{LINEAGE}/diagram.svg", **query))
    assert len(picture.findall(f".//{SVG}g[@class='node']")) == 7
    assert "what <sales> needs" in [one.text for one in picture.iter(f"{SVG}text")]


def test_without_graphviz_pictures_are_refused_with_what_to_install(
    shop: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    response = shop.get(f"{LINEAGE}/diagram.svg", query_string={"nodeId": "dataset:bi:sales"})
    assert response.status_code == 406
    assert "headwater[images]" in response.json["message"]
    assert shop.get(f"{LINEAGE}/diagram.mmd", query_string={"nodeId": "dataset:bi:sales"}).status_code == 200


# --- paths -----------------------------------------------------------------------------------------------------------


def paths(client: FlaskClient, origin: str, destination: str, granularity: str = "dataset", **query: Any) -> list[str]:
    answer = get(client, f"{LINEAGE}/paths", **{"from": origin, "to": destination}, granularity=granularity, **query)
    assert answer["found"] == bool(answer["paths"])
    for path in answer["paths"]:
        assert [edge["origin"] for edge in path["edges"]] == path["nodes"][:-1]
        assert [edge["destination"] for edge in path["edges"]] == path["nodes"][1:]
        assert path["length"] == len(path["edges"])
        words = [EVIDENCE.index(edge["evidence"]) for edge in path["edges"]]
        assert path["evidence"] == (EVIDENCE[max(words)] if words else None)
    return [" ".join(map(short, path["nodes"])) for path in answer["paths"]]


def test_paths_are_all_ways_along_the_data_shortest_first(client: FlaskClient) -> None:
    store(
        client, *flow("a", "b", "c", "d"), *flow("a", "d", first=8), *flow("b", "d", first=9), *flow("d", "a", first=10)
    )
    assert paths(client, "dataset:data:a", "dataset:data:d") == ["a d", "a b d", "a b c d"]
    assert paths(client, "dataset:data:a", "dataset:data:d", "all")[0] == "a a-d d"
    assert paths(client, "job:jobs:a-b", "job:jobs:c-d", "job") == ["a-b b-c c-d"]
    assert paths(client, "job:jobs:a-b", "dataset:data:c", "all") == ["a-b b b-c c"]
    assert paths(client, "dataset:data:a", "dataset:data:a") == ["a"]
    answer = get(
        client, f"{LINEAGE}/paths", **{"from": "dataset:data:a", "to": "dataset:data:d"}, limit=2, granularity="dataset"
    )
    assert (len(answer["paths"]), answer["truncated"], answer["from"]) == (2, True, "dataset:data:a")


def test_no_path_is_an_answer(client: FlaskClient) -> None:
    store(client, *flow("a", "b"), *flow("x", "y", first=5))
    answer = get(client, f"{LINEAGE}/paths", **{"from": "dataset:data:b", "to": "dataset:data:a"})
    assert (answer["found"], answer["paths"], answer["truncated"]) == (False, [], False)
    for form in ("mermaid", "svg"):
        text = get_text(client, f"{LINEAGE}/paths", **{"from": "dataset:data:a", "to": "dataset:data:y"}, format=form)
        assert "a" in text and "y" in text


def test_paths_of_columns_and_as_a_diagram(client: FlaskClient) -> None:
    store(
        client,
        run_event(inputs=("a",), outputs=(dataset("b", columnLineage=columns(y=[("a", "x")], z=[("a", "x")])),)),
        run_event(
            run=2, job="j", inputs=("b",), outputs=(dataset("c", columnLineage=columns(w=[("b", "y"), ("b", "z")])),)
        ),
    )
    ends = ("datasetField:data:a:x", "datasetField:data:c:w")
    assert paths(client, *ends, "column") == ["a.x b.y c.w", "a.x b.z c.w"]
    text = get_text(
        client, f"{LINEAGE}/paths", **{"from": ends[0], "to": ends[1]}, granularity="column", format="mermaid"
    )
    (drawn,) = parsed([text])
    assert drawn.ok, drawn.error
    assert sorted(one["stroke"] for one in drawn.arrows) == ["normal", "normal", "thick", "thick"]
    assert "Paths from" in drawn.title


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ({"from": "dataset:data:a"}, 400, "to"),
        ({"from": "zebra", "to": "dataset:data:b"}, 400, "from"),
        ({"from": "dataset:data:a", "to": "run:x"}, 400, "to"),
        ({"from": "dataset:data:a", "to": "dataset:data:b", "granularity": "column"}, 400, "from"),
        ({"from": "dataset:data:a", "to": "dataset:data:b", "limit": 0}, 400, "limit"),
        ({"from": "dataset:data:a", "to": "dataset:data:b", "limit": 101}, 400, "limit"),
        ({"from": "dataset:data:a", "to": "dataset:data:zebra"}, 404, None),
    ],
)
def test_bad_ends_are_refused(shared: FlaskClient, query: JSON, status: int, field: str | None) -> None:
    store(shared, *flow("a", "b"))
    response = shared.get(f"{LINEAGE}/paths", query_string=query)
    assert response.status_code == status
    assert field is None or list(response.json["errors"]) == [field]
    assert status != 404 or response.json["message"] == "Dataset 'zebra' not found."


# --- bad input, cost -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"evidence": "good"}, "evidence"),
        ({"collapse": "everything"}, "collapse"),
        ({"kind": "table"}, "kind"),
        ({"match": ""}, "match"),
        ({"match": "x" * 501}, "match"),
        ({"namespace": ["x"] * 101}, "namespace"),
    ],
)
def test_bad_view_is_refused_by_its_field(shared: FlaskClient, query: JSON, field: str) -> None:
    store(shared, *flow("a", "b"))
    for path in ("upstream", "downstream", "diagram", "diagram.svg"):
        response = shared.get(f"{LINEAGE}/{path}", query_string={"nodeId": "dataset:data:b"} | query)
        assert response.status_code == 400
        assert [one.split(".")[0] for one in response.json["errors"]] == [field]


@pytest.mark.parametrize(
    "path",
    [
        f"{LINEAGE}/upstream?nodeId=dataset:data:NAME-end&collapse=parent",
        f"{LINEAGE}/upstream?nodeId=dataset:data:NAME-end&namespace=data&evidence=column",
        f"{LINEAGE}/upstream?nodeId=dataset:data:NAME-end&tag=gold&kind=dataset",
        f"{LINEAGE}/diagram?nodeId=dataset:data:NAME-end&match=*1*&collapse=namespace",
        f"{LINEAGE}/paths?from=job:jobs:NAME-1&to=dataset:data:NAME-end",
    ],
)
def test_view_costs_the_same_statements_at_any_size(shared: FlaskClient, path: str) -> None:
    counts = {}
    for name, size in (("little", 3), ("large", 300)):
        while shared.post(f"{LINEAGE}/batch", json=list(star(name, size))).status_code == 503:
            pass
        with counted(shared) as statements:
            response = shared.get(path.replace("NAME", name))
        assert response.status_code == 200
        counts[name] = len(statements)
    assert counts["large"] == counts["little"] <= 40


def test_declared_jobs_are_known_by_what_they_declare(client: FlaskClient) -> None:
    store(client, job_event(inputs=("a",), outputs=("b",)))
    assert edges(client, "upstream", "dataset:data:b", "all", evidence="any") == {
        "a > load": "declared",
        "load > b": "declared",
    }
    assert walk(client, "upstream", "dataset:data:b", "all", evidence="column") == []
