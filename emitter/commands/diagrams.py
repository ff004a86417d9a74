"""Diagrams that a collector draws, over HTTP."""

from __future__ import annotations

import os

import requests

from lineage.errors import HeadwaterError, UnknownNode

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0


class CollectorFailed(HeadwaterError):
    """A collector that cannot be reached, or does not answer as one."""


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
    key = os.environ.get("OPENLINEAGE_API_KEY")
    try:
        answer = requests.get(
            f"{collector}/api/v1/lineage/diagram",
            params=query,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
        )
    except requests.RequestException as error:
        why = "no answer in time" if isinstance(error, requests.Timeout) else _cause(error)
        raise CollectorFailed(
            f"{collector} cannot be reached ({why}). Does a collector run there? Start one: headwater serve"
        ) from error
    if answer.status_code == 200:
        answer.encoding = "utf-8"
        return answer.text
    message = _message(answer)
    if answer.status_code == 404 and message:
        raise UnknownNode(
            f"{collector} does not know the node {node_id!r}: {message} Ids look like 'dataset:{{namespace}}:{{name}}' or "
            f"'job:{{namespace}}:{{name}}'; the newest events show the names: {collector}/api/v1/events/lineage?limit=5"
        )
    if answer.status_code in (400, 422) and message:
        raise Refused(message)
    raise CollectorFailed(
        f"{answer.url.partition('?')[0]} answered {answer.status_code}"
        + (f": {message}" if message else ", not as a collector does; is the address right?")
    )


def _message(answer: requests.Response) -> str | None:
    try:
        message = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(message)


def _cause(error: BaseException) -> str:
    """The innermost cause in the system's words: requests and urllib3 wrap it several layers deep."""
    while inner := error.__cause__ or error.__context__ or getattr(error, "reason", None):
        if not isinstance(inner, BaseException):
            break
        error = inner
    return getattr(error, "strerror", None) or str(error)
