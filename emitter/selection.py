"""Selections: which assets of a graph are meant.

``orders`` is one asset, ``+orders`` also all that it needs, ``orders+`` also all that is made from it; ``2+orders``
goes two steps only. ``stg_*`` matches names, ``tag:daily`` the assets with that tag. Commas and lists join selections.
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


def select(graph: AssetGraph, expression: str | Iterable[str] | None) -> list[str]:
    """The selected names in topological order; None selects every asset.

    Raises SelectionError for an expression that cannot be read or matches nothing, UnknownAsset for a name.
    """
    if expression is None:
        return graph.topological_order()
    expressions = [expression] if isinstance(expression, str) else list(expression)
    terms = [term.strip() for one in expressions for term in one.split(",")]
    terms = [term for term in terms if term]
    if not terms:
        raise SelectionError(
            "the selection is empty; write the name of an asset, such as 'orders', '+orders' or 'orders+'"
        )
    chosen: set[str] = set()
    for term in terms:
        chosen |= _selected(graph, term)
    return [name for name in graph.topological_order() if name in chosen]


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
    if what.startswith("tag:"):
        tag = what.removeprefix("tag:")
        found = [one.name for one in graph if tag in one.tags]
        tags = sorted({tag for one in graph for tag in one.tags})
        hint = did_you_mean(tag, tags) or (f"; the tags are {', '.join(tags)}" if tags else "; no asset has a tag")
        problem = f"no asset has the tag '{tag}'{hint}"
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
