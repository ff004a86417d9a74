"""Graphs that several tests draw."""

from __future__ import annotations

from itertools import pairwise

from lineage.graph import Edge, Graph, Node
from lineage.nodes import NodeKind

DATASET, JOB, FIELD, RUN, NAMESPACE = NodeKind


def node(id_: str, kind: NodeKind = DATASET, namespace: str = "ns", **rest: str | None) -> Node:
    return Node(id_, kind, namespace, rest.pop("name", None) or id_, **rest)


def chain(edges: int, **options) -> Graph:
    ids = [f"{number:04}" for number in range(edges + 1)]
    return Graph([node(id_) for id_ in ids], [Edge(*pair) for pair in pairwise(ids)], **options)


def star(children: int, name: str = "{}", **options) -> Graph:
    ids = [f"{number:05}" for number in range(children)]
    nodes = [node("start"), *(node(id_, name=name.format(id_)) for id_ in ids)]
    return Graph(nodes, [Edge("start", id_) for id_ in ids], start=["start"], **options)


MIXED = Graph(
    [
        node("raw", namespace="postgres://db:5432", detail="version 1"),
        node("load", JOB, "dbt", status="failed"),
        node("out", namespace="s3://lake", status="no such status"),
        node("c1", FIELD, "postgres://db:5432", name="raw", field="id"),
        node("c2", FIELD, "postgres://db:5432", name="raw", field="day"),
        node("c3", FIELD, "s3://lake", name="out", field="id"),
        node("r", RUN, ""),
    ],
    [Edge("raw", "load"), Edge("load", "out", "inferred"), Edge("c1", "c3", "column"), Edge("out", "out", "explicit")],
    start=["out"],
)
