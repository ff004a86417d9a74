"""Diagrams that a collector draws, over HTTP."""

from __future__ import annotations

import re

import requests

from headwater import CollectorFailed, fetch
from lineage.errors import HeadwaterError, UnknownNode

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
#: Marquez's words for a node; any other 404 is about the path, so about the address.
_NODE_NOT_FOUND = re.compile(r"(Dataset|Job|Field|Run) '.*' not found\.", re.DOTALL)


class Refused(HeadwaterError):
    """A question that the collector refuses, such as an id that is none."""


def fetch_diagram(
    collector: str,
    node_id: str,
    *,
    direction: str = "both",
    depth: int = 20,
    granularity: str = "all",
    format: str = "mermaid",
    layout: str = "LR",
) -> str:
    """The diagram of the lineage around a node, as a collector gives it.

    Args:
        collector: its address, such as ``http://127.0.0.1:5000``.
        node_id: ``dataset:{namespace}:{name}``, ``job:…`` or ``datasetField:{namespace}:{dataset}:{field}``.
        direction: upstream, downstream or both.
        depth: steps from the node.
        granularity: all (datasets and the jobs between them), dataset, job or column.
        format: mermaid, dot or json.
        layout: LR, RL, TB or BT.

    Raises:
        CollectorFailed: nothing answers there, or not as a collector does.
        UnknownNode: the collector knows no such node.
        Refused: the question is none, such as a node id that cannot be read.
    """
    query: dict[str, str | int] = {
        "nodeId": node_id,
        "direction": direction,
        "depth": depth,
        "granularity": granularity,
        "format": format,
        "layout": layout,
    }
    answer = fetch(collector, "/lineage/diagram", query, CONNECT_SECONDS, ANSWER_SECONDS)
    if answer.status_code == 200:
        answer.encoding = "utf-8"
        return answer.text
    message = _message(answer)
    if answer.status_code == 404 and _NODE_NOT_FOUND.match(message or ""):
        raise UnknownNode(
            f"{collector} does not know {node_id!r}: {message} Ids look like 'dataset:{{namespace}}:{{name}}' or "
            f"'job:{{namespace}}:{{name}}'; the newest events show the names: {collector}/api/v1/events/lineage?limit=5"
        )
    if answer.status_code in (400, 422) and message:
        raise Refused(message)
    said = (
        f": {message}" if message and answer.status_code != 404 else ", not as a collector does; is the address right?"
    )
    raise CollectorFailed(f"{answer.url.partition('?')[0]} answered {answer.status_code}{said}")


def _message(answer: requests.Response) -> str | None:
    try:
        message = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(message)
