"""What the OpenAPI document says of one of Marquez's calls."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema


def documented(
    summary: str,
    shape: type[Schema] | None = None,
    *,
    query: type[Schema] | None = None,
    body: type[Schema] | None = None,
    status: int = 200,
    many: bool = False,
) -> dict[str, Any]:
    """The parts of an operation: its answer by ``shape`` (a list of them where ``many``), its query, its body."""
    answer: Any = shape
    if many:
        answer = {"type": "array", "items": shape}
    content = {"content": {"application/json": {"schema": answer}}} if shape is not None else {}
    doc: dict[str, Any] = {
        "summary": summary,
        "responses": {
            str(status): {"description": summary, **content},
            "400": {"description": "A parameter or the body cannot be read"},
            "404": {"description": "Not there, or hidden"},
        },
    }
    if query is not None:
        doc["parameters"] = [{"in": "query", "schema": query}]
    if body is not None:
        doc["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
        doc["responses"]["422"] = {"description": "The body lacks something or has a wrong type"}
    return doc
