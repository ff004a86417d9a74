"""Asking a collector everything that it can be asked of what it holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn
from urllib.parse import quote

from flask.testing import FlaskClient
from sqlalchemy import select

from collector import quarantine, tables
from collector.api.store import EXTENSION
from collector.store.engines import reading
from lineage.nodes import dataset_node, field_node, job_node
from tests.mermaid_parser import Parsed, parse_all

JSON = dict[str, Any]
MAX_URL = 60_000  # a server takes no longer ones


def read_strictly(body: bytes) -> Any:
    """The JSON in ``body``; NaN and Infinity, which JSON has not, are errors."""

    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} in an answer")

    return json.loads(body, parse_constant=refuse)


def get(client: FlaskClient, path: str, **query: Any) -> Any:
    """The JSON answer to a GET, which must be 200."""
    response = client.get(path, query_string=query or None)
    assert response.status_code == 200, (path, query, response.status_code, response.get_data(as_text=True)[:500])
    return read_strictly(response.data)


def get_text(client: FlaskClient, path: str, **query: Any) -> str:
    """The text answer to a GET, which must be 200."""
    response = client.get(path, query_string=query or None)
    assert response.status_code == 200, (path, query, response.status_code, response.get_data(as_text=True)[:500])
    return response.get_data(as_text=True)


_read: dict[str, Parsed] = {}


def parsed(texts: Iterable[str]) -> list[Parsed]:
    """What the real Mermaid reads in ``texts``; each text is read once, since both engines give the same."""
    texts = list(texts)
    new = [text for text in dict.fromkeys(texts) if text not in _read]
    if new:
        _read.update(zip(new, parse_all(new), strict=True))
    return [_read[text] for text in texts]


def names(client: FlaskClient, table: Any) -> list[tuple[str, str]]:
    """(namespace, name) of every stored dataset or job."""
    n = tables.namespace
    query = select(n.c.name, table.c.name).join(n, n.c.id == table.c.namespace_id).order_by(n.c.name, table.c.name)
    with reading(client.application.extensions[EXTENSION].engine) as connection:
        return [tuple(row) for row in connection.execute(query)]


def columns(client: FlaskClient) -> list[tuple[str, str, str]]:
    """(namespace, dataset, column) of every column that has lineage."""
    c, d, n = tables.column_edge.c, tables.dataset, tables.namespace
    query = (
        select(n.c.name, d.c.name, c.destination_field)
        .join(d, d.c.id == c.destination_id)
        .join(n, n.c.id == d.c.namespace_id)
        .where(c.destination_field != "")
        .distinct()
    )
    with reading(client.application.extensions[EXTENSION].engine) as connection:
        return sorted(tuple(row) for row in connection.execute(query))


def kept(client: FlaskClient) -> dict[bytes, quarantine.Kept]:
    """What is in quarantine, by its body."""
    with reading(client.application.extensions[EXTENSION].engine) as connection:
        return {one.body: one for one in quarantine.kept(connection, limit=1_000)}


def ask_everything(client: FlaskClient, most: int = 30, depth: int = 20) -> list[str]:
    """Ask each call about stored datasets, jobs and columns (``most`` of each); every answer must be 200.

    Returns the Mermaid diagrams, for the real Mermaid to read.
    """
    diagrams: list[str] = []
    events = get(client, "/api/v1/events/lineage", kind="all", limit=1_000)
    assert len(events["events"]) == min(events["totalCount"], 1_000)
    get(client, "/api/v1/quarantine", limit=1_000)
    for owner in get(client, "/api/v1/owners", limit=most)["owners"]:
        owned = get(client, f"/api/v1/owners/{quote(owner['name'], safe='')}")
        assert owned["totalCount"] >= max(owner["datasets"], owner["jobs"])
    for tag in get(client, "/api/v1/tags", limit=most)["tags"]:
        get(client, f"/api/v1/tags/{quote(tag['name'], safe='')}/members")
    for failing in get(client, "/api/v1/quality/failing", limit=most)["datasets"]:
        assert get(client, "/api/v1/quality", nodeId=failing["nodeId"])["failing"] == failing["failing"]
    for namespace, name in _few(names(client, tables.dataset), most):
        found = get(client, f"/api/v1/namespaces/{quote(namespace, safe='')}/datasets/{quote(name, safe='')}")
        assert set(found["id"]) == {"namespace", "name"}
        diagrams += _ask_of_node(client, str(dataset_node(namespace, name)), depth, ("all", "dataset", "column"))
    for namespace, name in _few(names(client, tables.job), most):
        found = get(client, f"/api/v1/namespaces/{quote(namespace, safe='')}/jobs/{quote(name, safe='')}")
        assert found["id"] == {"namespace": namespace, "name": name}
        diagrams += _ask_of_node(client, str(job_node(namespace, name)), depth, ("all", "job"))
    for namespace, name, column in columns(client)[:: 1 + len(columns(client)) // most]:
        node = str(field_node(namespace, name, column))
        if len(quote(node, safe="")) < MAX_URL and column:
            diagrams += _ask_of_node(client, node, depth, ("column",))
    return diagrams


def _few(found: list[tuple[str, str]], most: int) -> Iterator[tuple[str, str]]:
    short = [one for one in found if sum(len(quote(part, safe="")) for part in one) < MAX_URL]
    return iter(short[:: -(-len(short) // most) or 1])


def _ask_of_node(client: FlaskClient, node_id: str, depth: int, granularities: tuple[str, ...]) -> list[str]:
    diagrams = []
    if node_id.startswith("dataset:"):
        assert get(client, "/api/v1/quality", nodeId=node_id)["nodeId"]
        get(client, "/api/v1/quality/results", nodeId=node_id)
    if node_id.startswith("job:"):
        assert get(client, "/api/v1/dependencies", nodeId=node_id, depth=depth)["nodeId"] == node_id
    if node_id.startswith(("dataset:", "job:")):
        graph = get(client, "/api/v1/lineage", nodeId=node_id, depth=depth)["graph"]
        assert [node["id"] for node in graph] == sorted({node["id"] for node in graph})
    for granularity in granularities:
        query = {"nodeId": node_id, "granularity": granularity, "depth": depth}
        for way in ("upstream", "downstream"):
            answer = get(client, f"/api/v1/lineage/{way}", **query)
            ids = {node["id"] for node in answer["nodes"]}
            assert answer["nodeId"] in ids
            assert {end for edge in answer["edges"] for end in (edge["origin"], edge["destination"])} <= ids
        diagrams.append(get_text(client, "/api/v1/lineage/diagram.mmd", **query))
        assert get_text(client, "/api/v1/lineage/diagram.dot", **query)
        get(client, "/api/v1/lineage/diagram", **query, format="json")
    return diagrams
