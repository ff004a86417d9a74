"""Selections: which assets of a graph are meant.

``orders`` is one asset, ``+orders`` also all that it needs, ``orders+`` also all that is made from it; ``2+orders``
goes two steps only. ``stg_*`` matches names, ``tag:daily`` the assets with that tag, ``group:finance`` those of that
group. Commas and lists join selections. An exclusion takes away what it means, in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from emitter.errors import SelectionError, did_you_mean

if TYPE_CHECKING:
    from emitter.graph import AssetGraph

_TERM = re.compile(r"(?P<up>(?P<up_depth>\d*)\+)?(?P<what>[^+]+?)(?P<down>\+(?P<down_depth>\d*))?\Z")


def select(
    graph: AssetGraph, expression: str | Iterable[str] | None, exclude: str | Iterable[str] | None = None
) -> list[str]:
    """The selected names in topological order; None selects every asset, and excludes none.

    Raises SelectionError for an expression that cannot be read or matches nothing, and where nothing is left;
    UnknownAsset for a name.
    """
    chosen = set(graph.topological_order()) if expression is None else _joined(graph, expression)
    if exclude is not None:
        chosen -= _joined(graph, exclude)
        if not chosen:
            raise SelectionError("nothing is left to run: everything that is selected is excluded too")
    return [name for name in graph.topological_order() if name in chosen]


def _joined(graph: AssetGraph, expression: str | Iterable[str]) -> set[str]:
    expressions = [expression] if isinstance(expression, str) else list(expression)
    terms = [term.strip() for one in expressions for term in one.split(",")]
    terms = [term for term in terms if term]
    if not terms:
        raise SelectionError(
            "the selection is empty; write the name of an asset, such as 'orders', '+orders' or 'orders+'"
        )
    return {name for term in terms for name in _selected(graph, term)}


def _selected(graph: AssetGraph, term: str) -> set[str]:
    parts = _TERM.match(term)
    if parts is None:
        raise SelectionError(
            f"the selection '{term}' cannot be read; write '+orders', 'orders+', '2+orders' or 'tag:daily'"
        )
    chosen: set[str] = set()
    for name in _matching(graph, parts["what"].strip()):
        chosen.add(name)
        if parts["up"]:
            chosen |= {one.name for one in graph.get_upstream(name, _depth(parts["up_depth"]))}
        if parts["down"]:
            chosen |= {one.name for one in graph.get_downstream(name, _depth(parts["down_depth"]))}
    return chosen


def _matching(graph: AssetGraph, what: str) -> list[str]:
    kind, colon, word = what.partition(":")
    if colon and kind in ("tag", "group"):
        of = {one.name: one.tags if kind == "tag" else tuple(filter(None, [one.group])) for one in graph}
        found = [name for name, words in of.items() if word in words]
        words = sorted({one for each in of.values() for one in each})
        hint = did_you_mean(word, words) or (
            f"; the {kind}s are {', '.join(words)}" if words else f"; no asset has a {kind}"
        )
        problem = f"no asset has the {kind} '{word}'{hint}"
    elif any(sign in what for sign in "*?["):
        found = [one.name for one in graph if fnmatchcase(one.name, what)]
        problem = f"no asset's name matches '{what}'"
    else:
        return [graph[what].name]
    if not found:
        raise SelectionError(problem)
    return found


def _depth(digits: str) -> int | None:
    return int(digits) if digits else None
