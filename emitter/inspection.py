"""Questions about what was materialized, answered from the metadata store and the stored outputs; nothing is run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from emitter.config import Config, resolve
from emitter.decision import Current, reason_to_run
from emitter.errors import EmitterError, MetadataStoreError, UnknownAsset, did_you_mean
from emitter.graph import DEFAULT_NAMESPACE, AssetGraph, Step
from emitter.io.protocol import is_in_process, stored_of
from emitter.metadata import DEFAULT_PATH, Materialization, MetadataStore
from emitter.observation import observe
from emitter.runs import RunIdentity
from emitter.turn import current_of

_SHORTEST_PREFIX = 4


class UnknownVersion(EmitterError):
    """A version of an asset that the metadata store does not know."""


class Verdict(StrEnum):
    """What verifying found: DRIFTED is a stored output that is not what was recorded."""

    INTACT = "intact"
    DRIFTED = "drifted"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of an asset's stored output; `expected` and `found` are checksums of it as it is stored."""

    asset: str
    verdict: Verdict
    place: str | None = None
    expected: str | None = None
    found: str | None = None
    message: str | None = None

    @property
    def good(self) -> bool:
        """Whether it is as it should be, as far as that can be seen."""
        return self.verdict in (Verdict.INTACT, Verdict.SKIPPED)


@dataclass(frozen=True, slots=True)
class Forecast:
    """Whether an asset would run now: `reason` says why (None: it would not).

    `pending` are upstream assets that would run first, each with its reason: what comes of them may be another reason.
    """

    asset: str
    reason: str | None
    pending: Mapping[str, str] = field(default_factory=dict)
    last: Materialization | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two versions of an asset: each changed thing's name, with what it was and what it is."""

    before: Materialization
    after: Materialization
    changes: Mapping[str, tuple[str | None, str | None]]


def open_store(path: str | Path | None = None) -> MetadataStore:
    """The metadata store at a path, which must be there. Raises MetadataStoreError."""
    found = Path(DEFAULT_PATH if path is None else path)
    if not found.is_file():
        raise MetadataStoreError(
            f"there is no metadata store at {found}; run a pipeline first: headwater run pipeline.py"
        )
    return MetadataStore(found)


def find(store: MetadataStore, asset: str, namespace: str | None = None) -> tuple[str, str]:
    """The namespace and name of an asset in the store; without a namespace, the only one that has it.

    Raises UnknownAsset, saying what is there.
    """
    known = store.assets()
    places = [one for one in known if one[1] == asset and namespace in (None, one[0])]
    if len(places) == 1:
        return places[0]
    if places:
        homes = ", ".join(place[0] for place in places)
        raise UnknownAsset(f"'{asset}' is in {len(places)} namespaces: {homes}; say which: --namespace {places[0][0]}")
    names = [one[1] for one in known if namespace in (None, one[0])]
    hint = did_you_mean(asset, names) or (f"; there are {', '.join(names[:12])}" if names else "; nothing is there yet")
    where = f" in namespace '{namespace}'" if namespace else ""
    raise UnknownAsset(f"{store.path} knows no asset '{asset}'{where}{hint}")


def recorded(
    graph: AssetGraph, store: MetadataStore, namespace: str | None = None, select: str | Iterable[str] | None = None
) -> list[tuple[str, list[str]]]:
    """The selected assets of a graph by the namespace in which they were materialized, whatever that is.

    With `namespace` only that. What was never materialized comes with the namespace that it would have.
    """
    names = graph.select(select)
    found: dict[str, list[str]] = {}
    for home, name in store.assets():
        if name in names and namespace in (None, home) and graph[name].namespace in (None, home):
            last = store.latest(home, name)
            if last is None or last.pipeline in (None, str(graph.source)) or graph.source is None:
                found.setdefault(home, []).append(name)
    known = {name for each in found.values() for name in each}
    if never := [name for name in names if name not in known]:
        found.setdefault(namespace or next(iter(found), DEFAULT_NAMESPACE), []).extend(never)
    return list(found.items())


def verify(
    graph: AssetGraph,
    store: MetadataStore,
    *,
    namespace: str = DEFAULT_NAMESPACE,
    select: str | Iterable[str] | None = None,
    on_verified: Callable[[Verification], None] = lambda one: None,
) -> list[Verification]:
    """Compare the stored outputs of a graph's assets, byte by byte, with what was recorded when they were made."""
    found = []
    for name in graph.select(select):
        asset = graph[name]
        last = store.latest(asset.namespace or namespace, name)
        one = _verified(graph, name, last)
        found.append(one)
        on_verified(one)
    return found


def forecast(
    graph: AssetGraph,
    name: str,
    store: MetadataStore,
    *,
    namespace: str = DEFAULT_NAMESPACE,
    config: Mapping[str, Any] | None = None,
) -> Forecast:
    """Whether an asset would run now, and why; and which of its upstream would. Sources are looked at, nothing runs."""
    graph = graph if name in graph else _refuse_unknown(graph, name)
    configs = resolve(graph, config)
    wanted = [one.name for one in graph.get_upstream(name)] + [name]
    versions: dict[str, Materialization] = {}
    pending: dict[str, str] = {}
    last: Materialization | None = None
    for step in graph.steps_of(wanted):
        reason, last = _step_forecast(graph, step, store, namespace, configs[step.name], versions)
        if name in step.names:
            upstream = {one.name for one in graph.get_upstream(name)}
            last = store.latest(graph[name].namespace or namespace, name)
            return Forecast(name, reason, {one: why for one, why in pending.items() if one in upstream}, last)
        if reason is not None:
            pending.update(dict.fromkeys(step.names, reason))
    raise AssertionError("the asset's own step comes last")


def version_of(store: MetadataStore, namespace: str, asset: str, word: str) -> Materialization:
    """A version of an asset: ``latest``, ``previous``, its number in the history, or the start of a checksum or run id.

    Raises UnknownVersion.
    """
    history = store.history(namespace, asset)
    numbers = {"latest": len(history), "previous": len(history) - 1}
    number = numbers.get(word, int(word) if word.isascii() and word.isdigit() else None)
    if number is not None and 1 <= number <= len(history):
        return history[len(history) - number]
    if word == "previous":
        raise UnknownVersion(f"'{asset}' has one version only, so there is no previous one")
    if len(word) >= _SHORTEST_PREFIX and number is None:
        for one in history:
            if one.checksum.partition(":")[2].startswith(word) or one.run_id.startswith(word) or one.checksum == word:
                return one
    raise UnknownVersion(
        f"'{asset}' has no version '{word}'; give a number from 1 to {len(history)}, the first digits of a checksum or "
        f"run id, 'latest' or 'previous': headwater history {asset}"
    )


def compare(before: Materialization, after: Materialization) -> Difference:
    """What differs between two versions of an asset, by what was recorded of them."""
    one, other = _facts(before), _facts(after)
    names = dict.fromkeys([*one, *other])
    changes = {name: (one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)}
    if before.config_version != after.config_version and not any(name.startswith("config ") for name in changes):
        changes["config"] = ("a secret", "another secret")
    return Difference(before, after, changes)


def _verified(graph: AssetGraph, name: str, last: Materialization | None) -> Verification:
    asset = graph[name]
    dataset = asset.io.dataset(asset) if hasattr(asset.io, "dataset") else None
    place = dataset.name if dataset else None
    if asset.is_source:
        return Verification(name, Verdict.SKIPPED, place, message="a source: others write it")
    if last is None:
        return Verification(name, Verdict.SKIPPED, place, message="never materialized")
    if is_in_process(asset):
        return Verification(name, Verdict.SKIPPED, place, message="kept in the memory of the process that made it")
    try:
        stored = stored_of(asset)
    except EmitterError as error:
        return Verification(name, Verdict.UNREADABLE, place, last.stored_checksum, message=str(error))
    if stored is None:
        return Verification(name, Verdict.MISSING, place, last.stored_checksum, message="nothing is there")
    verdict = Verdict.INTACT if stored.checksum == last.stored_checksum else Verdict.DRIFTED
    return Verification(name, verdict, place, last.stored_checksum, stored.checksum)


def _step_forecast(
    graph: AssetGraph,
    step: Step,
    store: MetadataStore,
    namespace: str,
    config: Config,
    versions: dict[str, Materialization],
) -> tuple[str | None, Materialization | None]:
    """The reason for which a step would run; the versions that it would leave are noted in `versions`."""
    reasons: list[str] = []
    for asset in step.assets:
        home = asset.namespace or namespace
        last = store.latest(home, asset.name)
        if asset.is_source:
            run = RunIdentity("", home, asset.name)
            seen = observe(asset, last, run, read=False, needed=lambda name: graph[name].io.load(graph[name]))
            versions[asset.name] = seen.version
            return None, last  # a source does not run; its new content is a reason of those that read it
        inputs = {one: versions[one] for one in graph.upstream_names(asset.name) if one in versions}
        current = current_of(asset, inputs, config, store.key)
        if len(inputs) < len(graph.upstream_names(asset.name)) and last is not None:
            current = _with_recorded_upstream(current, last)
        place = "in memory" if is_in_process(asset) else "on disk"
        reason = reason_to_run(current, last, functools.partial(stored_of, asset), place=place)
        if reason is not None:
            reasons.append(reason)
        if last is not None:
            versions[asset.name] = last
    return (reasons[0] if reasons else None), last


def _with_recorded_upstream(current: Current, last: Materialization) -> Current:
    """As if upstream that was never recorded were as it was read: it is told of as pending."""
    recorded = {name: version["checksum"] for name, version in last.lineage.items()}
    return replace(current, upstream=recorded | dict(current.upstream))


def _refuse_unknown(graph: AssetGraph, name: str) -> AssetGraph:
    _ = graph[name]  # says what is there
    return graph


def _facts(one: Materialization) -> dict[str, str]:
    facts = {
        "version": one.version,
        "code": one.code_version,
        "checks": one.checks_version,
        "checksum": one.checksum,
        "rows": None if one.rows is None else f"{one.rows:,}",
        "bytes": None if one.bytes is None else f"{one.bytes:,}",
    }
    facts |= {f"config {name}": value for name, value in one.config.items()}
    facts |= {f"upstream {name}": version["checksum"] for name, version in one.lineage.items()}
    facts |= {f"column {each.name}": each.type or "" for each in one.fields}
    facts |= {f"check {each.name}": "holds" if each.success else each.message or "fails" for each in one.checks}
    return {name: value for name, value in facts.items() if value is not None}
