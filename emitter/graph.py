"""The graph of a pipeline's assets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emitter.assets import Asset
from emitter.errors import AssetCycle, DuplicateAsset, GraphError, InvalidAsset, UnknownAsset, did_you_mean
from emitter.multi import MultiAsset
from emitter.selection import select
from lineage.errors import CycleFound
from lineage.graph import Edge, Graph, Node
from lineage.nodes import NodeKind, dataset_node

#: The namespace of assets that name none, unless the materialization says otherwise.
DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Step:
    """What is run as one: an asset, or all the assets that one function makes."""

    name: str
    assets: tuple[Asset, ...]

    @property
    def names(self) -> list[str]:
        """The names of its assets, in the order in which its function returns them."""
        return [one.name for one in self.assets]


class AssetGraph:
    """Assets and what they need of each other; it never changes after it is built.

    Args:
        assets: the assets; the same one may come twice. Upstream is found by name.
        name: the pipeline's name, which becomes the parent run's job; by default found when it is materialized.

    `source` is the pipeline file that it was loaded from, if it was.

    Raises:
        DuplicateAsset: two different assets have one name.
        UnknownAsset: a parameter or dependency names no asset; every such name is told.
        AssetCycle: assets need each other; the message shows the path.
    """

    def __init__(self, assets: Iterable[Asset | MultiAsset], *, name: str | None = None) -> None:
        self.name = name
        self.source: Path | None = None
        self._assets = _by_name(assets)
        for one in self._assets.values():
            one.read_source()
        self._upstream = {one.name: one.upstream_names(self._assets) for one in self._assets.values()}
        self._refuse_unknown()
        self._steps = self._in_steps()
        self._graph = self._build()
        self._name_of = {self._node_id(name): name for name in self._assets}
        try:
            self._order = [self._name_of[node_id] for node_id in self._graph.topological_order()]
        except CycleFound as error:
            path = [self._name_of[node_id] for node_id in error.path]
            raise AssetCycle(f"these assets need each other: {' → '.join(path)}; cut one of the arrows", path) from None

    @property
    def steps(self) -> list[Step]:
        """What is run, each after all that it needs; its selection is that of any of its assets."""
        return self.steps_of(self._order)

    def steps_of(self, names: Collection[str]) -> list[Step]:
        """The steps that make these assets, each after all that it needs."""
        wanted = {self._assets[name].step for name in names}
        found = dict.fromkeys(self._assets[name].step for name in self._order)
        return [self._steps[step] for step in found if step in wanted]

    @property
    def assets(self) -> Mapping[str, Asset]:
        """The assets by name, as they were given."""
        return dict(self._assets)

    def __getitem__(self, name: str) -> Asset:
        return self._assets[self._checked(name)]

    def __contains__(self, name: object) -> bool:
        return name in self._assets

    def __iter__(self) -> Iterator[Asset]:
        return iter(self._assets[name] for name in self._order)

    def __len__(self) -> int:
        return len(self._assets)

    def __repr__(self) -> str:
        return f"<AssetGraph{f' {self.name!r}' if self.name else ''} of {len(self)} assets>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """How a notebook shows it: as a diagram, where it can draw one."""
        return {
            "text/plain": repr(self),
            "text/markdown": self._repr_markdown_(),
            "text/vnd.mermaid": self.to_mermaid(),
        }

    def _repr_markdown_(self) -> str:
        return f"```mermaid\n{self.to_mermaid()}```\n"

    def topological_order(self) -> list[str]:
        """Every asset's name, each after all that it needs; otherwise by name."""
        return list(self._order)

    def upstream_names(self, name: str) -> tuple[str, ...]:
        """The names of what an asset needs directly: its parameters in order, then its deps."""
        return self._upstream[self._checked(name)]

    def get_upstream(self, name: str | Asset, depth: int | None = None) -> list[Asset]:
        """What an asset is made from, nearest first, at most `depth` steps away; never the asset itself.

        Raises UnknownAsset, and lineage.errors.InvalidDepth for a depth that is no count of steps.
        """
        found = self._graph.upstream(self._node_id(self._checked(name)), depth)
        return [self._assets[self._name_of[node_id]] for node_id in found]

    def get_downstream(self, name: str | Asset, depth: int | None = None) -> list[Asset]:
        """What is made from an asset, nearest first; the rest as for `get_upstream`."""
        found = self._graph.downstream(self._node_id(self._checked(name)), depth)
        return [self._assets[self._name_of[node_id]] for node_id in found]

    def get_lineage_graph(self) -> dict[str, list[str]]:
        """Each asset's name with the names of its direct upstream assets, in topological order."""
        return {name: list(self._upstream[name]) for name in self._order}

    def to_graph(self) -> Graph:
        """The lineage graph: one dataset node per asset, one edge per need."""
        return self._graph

    def to_mermaid(self, direction: str = "LR") -> str:
        """The graph as Mermaid text; `direction` is LR, RL, TB or BT."""
        from lineage.mermaid import to_mermaid

        return to_mermaid(self._graph, direction=direction)

    def select(self, expression: str | Iterable[str] | None, exclude: str | Iterable[str] | None = None) -> list[str]:
        """The names that a selection means, in topological order; all of them for None; see `emitter.selection`."""
        return select(self, expression, exclude)

    def _checked(self, name: str | Asset) -> str:
        found = name.name if isinstance(name, Asset) else name
        if found not in self._assets:
            hint = did_you_mean(found, self._assets) or f"; the assets are {_listing(self._assets)}"
            raise UnknownAsset(f"no asset is called '{found}'{hint}")
        return found

    def _node_id(self, name: str) -> str:
        return str(dataset_node(self._assets[name].namespace or DEFAULT_NAMESPACE, name))

    def _build(self) -> Graph:
        nodes = [
            Node(self._node_id(name), NodeKind.DATASET, one.namespace or DEFAULT_NAMESPACE, name)
            for name, one in self._assets.items()
        ]
        edges = [
            Edge(self._node_id(origin), self._node_id(name))
            for name, upstream in self._upstream.items()
            for origin in upstream
        ]
        return Graph(nodes, edges)

    def _in_steps(self) -> dict[str, Step]:
        members: dict[str, list[Asset]] = {}
        for one in self._assets.values():
            members.setdefault(one.step, []).append(one)
        for step, assets in members.items():
            alone = [one for one in assets if not one.is_one_of_several]
            if len(assets) > len(alone) > 0 or len({id(one.function) for one in assets}) > 1:
                places = " and at ".join(dict.fromkeys(str(one.location) for one in assets))
                raise DuplicateAsset(f"two functions are called '{step}': at {places}; rename one")
        return {step: Step(step, tuple(assets)) for step, assets in members.items()}

    def _refuse_unknown(self) -> None:
        problems = [
            f"asset '{one.name}' at {one.location} needs '{needed}', which names no asset"
            + did_you_mean(needed, [known for known in self._assets if known != one.name])
            for one in self._assets.values()
            for needed in self._upstream[one.name]
            if needed not in self._assets
        ]
        if problems:
            problems.append(f"the assets are {_listing(self._assets)}")
            raise UnknownAsset("\n".join(problems))
        for one in self._assets.values():
            for column, origins in one.columns.items():
                for name, field in origins:
                    if name not in self._upstream[one.name]:
                        upstream = self._upstream[one.name]
                        hint = did_you_mean(name, upstream) or f"; its upstream is {_listing(upstream) or 'nothing'}"
                        raise InvalidAsset(
                            f"asset '{one.name}' at {one.location} makes the column '{column}' of '{name}.{field}', "
                            f"but '{name}' is not upstream of it{hint}"
                        )


def _each(assets: Iterable[Asset | MultiAsset]) -> Iterator[Asset]:
    for one in [assets] if isinstance(assets, Asset | MultiAsset) else assets:
        if isinstance(one, MultiAsset):
            yield from one
        else:
            yield one


def _by_name(assets: Iterable[Asset | MultiAsset]) -> dict[str, Asset]:
    found: dict[str, Asset] = {}
    for one in _each(assets):
        if not isinstance(one, Asset):
            cure = "; decorate it with @asset" if callable(one) else ""
            raise GraphError(f"{one!r} is no asset but a {type(one).__name__}{cure}")
        if (other := found.setdefault(one.name, one)) is not one:
            raise DuplicateAsset(
                f"two assets are called '{one.name}': at {other.location} and at {one.location}; rename one"
            )
    if not found:
        raise GraphError("there is no asset in the graph; give at least one function that is decorated with @asset")
    return found


def _listing(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - 12} more" if len(listed) > 12 else ""
    return ", ".join(listed[:12]) + more
