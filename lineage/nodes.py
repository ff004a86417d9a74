"""Node ids, as Marquez writes them, and how to read them back.

``dataset:{namespace}:{name}[#version]``, ``job:{namespace}:{name}[#version]``,
``datasetField:{namespace}:{dataset}:{field}[#version]``, ``run:{id}``.

Nothing in an id is escaped, and namespaces hold ``:`` (``postgres://host:5432``), so an id can be read in several ways.
`candidates` gives all of them; only who knows the names (a store, a graph) can say which one is meant: see `parse`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import comb

from lineage.errors import InvalidNodeId, UnknownNode

#: An id with more readings than this is refused: each one may cost its reader a look-up.
MAX_READINGS = 5_000
#: The same bound in characters (readings times length), so that a long hostile id cannot fill the memory.
MAX_READING_CHARACTERS = 20_000_000

_FORMS = (
    "'dataset:{namespace}:{name}', 'job:{namespace}:{name}', 'datasetField:{namespace}:{dataset}:{field}' or 'run:{id}'"
)

# What namespaces that hold ':' look like (OpenLineage, Naming.md): a scheme with one or more hosts, each with or
# without a port ('kafka://a:9092,b:9092', 'sqlserver://h:1433;database=d', 'jdbc:…'), or an ARN's first five parts.
# The quantifiers are possessive: ids come from anyone, and backtracking would take quadratic time on long ones.
# The port is an atomic group: where a possessive one (`(…)?+`) fails midway, Debian 12's Python 3.11.2 keeps what had
# matched.
_HOST = r"(?:\[[0-9A-Za-z:.%]*+\]|[^:,/;]*+)(?>(?::\d++(?=[:,/;]))?)"
_NAMESPACE = re.compile(
    rf"(?:[A-Za-z][\w.+-]*+:)?[A-Za-z][\w.+-]*+://{_HOST}(?:,{_HOST})*+[^:]*+(?=:)|arn(?::[^:]*+){{4}}(?=:)"
)
_VERSION = re.compile(r"[^\s#:/]+\Z")


class NodeKind(StrEnum):
    """What a node is; the value is the prefix of its id."""

    DATASET = "dataset"
    JOB = "job"
    FIELD = "datasetField"
    RUN = "run"
    NAMESPACE = "namespace"  # stands for all that it holds, in a collapsed graph; no question can start there


_KINDS = {kind.value: kind for kind in NodeKind if kind is not NodeKind.NAMESPACE}


@dataclass(frozen=True, slots=True)
class NodeId:
    """One node's identity.

    ``name`` is the dataset's for a FIELD, whose own name is ``field``; a RUN has an empty namespace and its id as name.
    """

    kind: NodeKind
    namespace: str
    name: str
    field: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        parts = [self.kind.value] if self.kind is NodeKind.RUN else [self.kind.value, self.namespace]
        parts.append(self.name)
        if self.field is not None:
            parts.append(self.field)
        text = ":".join(parts)
        return text if self.version is None else f"{text}#{self.version}"

    @property
    def label(self) -> str:
        """What a reader calls the node: its name, or a column's own name."""
        return self.name if self.field is None else self.field


def dataset_node(namespace: str, name: str) -> NodeId:
    """Return the node id of a dataset."""
    return NodeId(NodeKind.DATASET, namespace, name)


def job_node(namespace: str, name: str) -> NodeId:
    """Return the node id of a job."""
    return NodeId(NodeKind.JOB, namespace, name)


def field_node(namespace: str, dataset: str, field: str) -> NodeId:
    """Return the node id of a column of a dataset."""
    return NodeId(NodeKind.FIELD, namespace, dataset, field)


def candidates(text: str) -> list[NodeId]:
    """Return every reading of a node id, the best guess first; no part of a reading is empty.

    The best guess keeps a namespace like ``scheme://authority[:port]`` together (else the namespace ends at the first
    ``:``), lets a column's name start after the last ``:``, and takes a last ``#word`` for a version.

    Raises:
        InvalidNodeId: no known prefix, a part that is missing or empty, or more than `MAX_READINGS` readings.
    """
    kind, rest = _split_kind(text)
    colons = [at for at, character in enumerate(rest) if character == ":"]
    hashes = [at for at, character in enumerate(rest) if character == "#"]
    splits = {NodeKind.RUN: 0, NodeKind.FIELD: 2}.get(kind, 1)
    readings = max(1, comb(len(colons), splits)) * (1 + len(hashes))
    if readings > MAX_READINGS or readings * len(text) > MAX_READING_CHARACTERS:
        raise InvalidNodeId(
            f"node id {_shown(text)} can be read in {readings:,} ways, because its names hold {len(colons)} ':' "
            f"and {len(hashes)} '#'; at most {MAX_READINGS:,} are tried: give namespace and name apart instead"
        )
    found = [
        node
        for end, version in _versions(rest, hashes)
        for node in _named(kind, rest[:end], [at for at in colons if at < end], version)
    ]
    if not found:
        raise InvalidNodeId(f"node id {_shown(text)} lacks a part after '{kind}:' (or one is empty); write {_FORMS}")
    return found


def parse(text: str, known: Callable[[NodeId], bool] | None = None) -> NodeId:
    """Return the first reading of a node id that is ``known``; without ``known``, the best guess.

    Raises:
        InvalidNodeId: the text is no node id.
        UnknownNode: no reading of it is known.
    """
    readings = candidates(text)
    if known is None:
        return readings[0]
    for node in readings:
        if known(node):
            return node
    raise UnknownNode(f"no node {_shown(text)} is known (tried {len(readings)} readings of its namespace and name)")


def _split_kind(text: str) -> tuple[NodeKind, str]:
    prefix, colon, rest = text.partition(":")
    kind = _KINDS.get(prefix)
    if kind is None:
        raise InvalidNodeId(f"node id {_shown(text)} starts with {_shown(prefix)}; write {_FORMS}")
    if not colon:
        raise InvalidNodeId(f"node id {_shown(text)} has no ':' after {prefix!r}; write {_FORMS}")
    return kind, rest


def _versions(rest: str, hashes: list[int]) -> list[tuple[int, str | None]]:
    """Return where the names may end, and the version that follows: the likeliest first, then from the right."""
    found: list[tuple[int, str | None]] = [(len(rest), None)]
    found += [(at, rest[at + 1 :]) for at in reversed(hashes) if at + 1 < len(rest)]
    if len(found) > 1 and _VERSION.match(found[1][1] or ""):
        found[0], found[1] = found[1], found[0]
    return found


def _named(kind: NodeKind, names: str, colons: list[int], version: str | None) -> list[NodeId]:
    """Return every reading of the names, the likeliest namespace first, then shorter namespaces first."""
    if kind is NodeKind.RUN:
        return [NodeId(kind, "", names, version=version)] if names else []
    likely = _NAMESPACE.match(names)
    ends = [at for at in colons if 0 < at < len(names) - 1]
    if likely and likely.end() in ends:
        ends.sort(key=lambda at: (at != likely.end(), at))
    if kind is not NodeKind.FIELD:
        return [NodeId(kind, names[:end], names[end + 1 :], version=version) for end in ends]
    return [
        NodeId(kind, names[:end], names[end + 1 : last], names[last + 1 :], version)
        for end in ends
        for last in reversed(ends if likely is None else sorted(ends))
        if last > end + 1
    ]


def _shown(text: str) -> str:
    """Quote a text for a message, cut to a length that a terminal bears."""
    return repr(text if len(text) <= 200 else f"{text[:200]}…")
