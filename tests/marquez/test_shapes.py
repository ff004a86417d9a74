"""Every answer has every field of its shape: by our own schemas, and by Marquez's published document where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
import yaml
from marshmallow import RAISE

from collector.api.shapes import ColumnNodeData, DatasetShape, JobShape
from tests.collector.processes import Collector
from tests.marquez.scenario import Answer, Call, play

PUBLISHED = Path(__file__).parents[2].parent / "shared" / "reference" / "marquez-openapi.yml"

# where the document cannot be meant: one facet for a map of them, no nodes of columns in a graph of columns
_SLIPS = ("/jobs/runs/{id}/facets", "/column-lineage")

_NODES = {"DATASET": DatasetShape, "JOB": JobShape, "DATASET_FIELD": ColumnNodeData}


def check_shape(answer: Answer) -> None:
    expected = 201 if answer.method == "POST" and answer.template.endswith(("/runs", "/lineage")) else 200
    assert answer.status == expected, (answer.template, answer.body)
    if answer.shape is None:
        return
    problems = answer.shape(unknown=RAISE, many=answer.many).validate(answer.body)
    assert not problems, (answer.method, answer.template, problems)
    if isinstance(answer.body, dict):
        for node in answer.body.get("graph", ()):
            problems = _NODES[node["type"]](unknown=RAISE).validate(node["data"])
            assert not problems, (answer.template, node["id"], problems)


def test_every_answer_has_its_shape(call: Call) -> None:
    answers = list(play(call))
    assert len(answers) > 70
    for answer in answers:
        check_shape(answer)


def test_every_answer_has_its_shape_over_a_socket(database: str, tmp_path: Path) -> None:
    with Collector(tmp_path, database) as collector, requests.Session() as session:

        def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
            answer = session.request(method, f"{collector.url}/api/v1{path}", json=body, timeout=10)
            return answer.status_code, answer.json() if answer.content else None

        for answer in play(call):
            check_shape(answer)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="Marquez's published document is not here")
def test_published_document_validates_every_answer(call: Call) -> None:
    document = yaml.safe_load(PUBLISHED.read_text())
    _be_json_schema(document)
    checked = 0
    for answer in play(call):
        operation = document["paths"].get(answer.template, {}).get(answer.method.lower())
        if operation is None:  # newer than the document
            continue
        content = {str(status): said for status, said in operation["responses"].items()}
        schema = content.get(str(answer.status), content.get("200", {})).get("content", {})
        if "application/json" not in schema:
            continue
        if answer.template in _SLIPS:
            continue
        wanted = {"components": document["components"], **schema["application/json"]["schema"]}
        errors = list(jsonschema.Draft202012Validator(wanted).iter_errors(answer.body))
        assert not errors, (answer.method, answer.template, errors[0].json_path, errors[0].message[:300])
        checked += 1
    assert checked > 45


def _be_json_schema(node: Any) -> None:
    """Marquez's document means, and does not say, that what is absent is null; and has slips of its own."""
    if isinstance(node, dict):
        if node.get("description") == "List of tags." and node.get("type") == "string":
            node["type"] = "array"  # its server answers with a list
        if node.get("type", "") is None:
            del node["type"]
        if isinstance(node.get("type"), str):
            node["type"] = [node["type"], "null"]
        if set(node) == {"$ref"}:
            node["anyOf"] = [{"$ref": node.pop("$ref")}, {"type": "null"}]
            return
        if "oneOf" in node:
            node["anyOf"] = node.pop("oneOf")
        if isinstance(node.get("additionalProperties"), dict) and node["additionalProperties"].get("type") == "string":
            node["additionalProperties"] = True  # inputFacets and outputFacets are objects
        if "enum" in node and isinstance(node["enum"], list):
            node["enum"] = [*node["enum"], None]
        for value in node.values():
            _be_json_schema(value)
    elif isinstance(node, list):
        for value in node:
            _be_json_schema(value)
