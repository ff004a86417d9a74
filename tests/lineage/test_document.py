"""The graph as JSON."""

from __future__ import annotations

import json

from lineage.document import to_document
from lineage.graph import Edge, Graph, Node
from lineage.nodes import NodeKind


def test_document_holds_everything_and_leaves_out_what_is_not_there():
    graph = Graph(
        [
            Node("dataset:ns:b", NodeKind.DATASET, "ns", "b", status="failed", detail="v1"),
            Node("datasetField:ns:a:id", NodeKind.FIELD, "ns", "a", field="id"),
            Node("job:ns:z", NodeKind.JOB, "ns", "z"),
        ],
        [Edge("job:ns:z", "dataset:ns:b", "inferred")],
        start=["dataset:ns:b"],
        missing=2,
    )
    document = to_document(graph)
    assert json.loads(json.dumps(document)) == {
        "nodes": [
            {"id": "datasetField:ns:a:id", "kind": "datasetField", "namespace": "ns", "name": "a", "field": "id"},
            {"id": "job:ns:z", "kind": "job", "namespace": "ns", "name": "z"},
            {
                "id": "dataset:ns:b",
                "kind": "dataset",
                "namespace": "ns",
                "name": "b",
                "status": "failed",
                "detail": "v1",
            },
        ],
        "edges": [{"origin": "job:ns:z", "destination": "dataset:ns:b", "evidence": "inferred"}],
        "start": ["dataset:ns:b"],
        "truncated": True,
        "missing": 2,
    }


def test_empty_graph_is_not_truncated():
    assert to_document(Graph([], [])) == {"nodes": [], "edges": [], "start": [], "truncated": False, "missing": 0}
