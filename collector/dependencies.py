"""What jobs wait for and what they start: the ``jobDependencies`` facet of runs. Pure; ``dependency_rows`` keeps it."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import msgspec

from collector import keys
from collector.decode import Body, Job
from collector.facets import FacetsByName, is_deleted, read
from collector.tables import NEEDS, TRIGGERS

FACET = "jobDependencies"
MOST = 10_000  # jobs of one facet, either way
_RULE_BYTES = 200


class _Dependency(msgspec.Struct):
    job: Job
    dependency_type: str | None = None
    sequence_trigger_rule: str | None = None
    status_trigger_rule: str | None = None


class JobDependencies(msgspec.Struct):
    """``jobDependencies`` (run)."""

    upstream: list[_Dependency] | None = None
    downstream: list[_Dependency] | None = None
    trigger_rule: str | None = None


class Dependency(NamedTuple):
    """One other job: NEEDS (it comes before) or TRIGGERS (it comes after), and on which conditions."""

    direction: int
    other: keys.Named
    dependency_type: str | None
    sequence_rule: str | None
    status_rule: str | None


class Dependencies(NamedTuple):
    """What a facet says: the other jobs, each once a direction, and the rule for all those that come before."""

    others: tuple[Dependency, ...] = ()
    rule: str | None = None


def dependencies_of(facets: FacetsByName) -> tuple[Dependency, ...]:
    """The other jobs that a run's facets name."""
    body = facets.get(FACET) if facets else None
    return _dependencies(body).others if body is not None else ()


@lru_cache(maxsize=128)  # one facet comes with every event of a run
def _dependencies(body: Body) -> Dependencies:
    return read_dependencies(body.raw)


def read_dependencies(raw: bytes) -> Dependencies:
    """From the raw JSON of a facet: nothing where it is deleted or of another shape."""
    facet = None if is_deleted(raw) else read(raw, JobDependencies)
    if facet is None:
        return Dependencies()
    found: dict[tuple[int, int], Dependency] = {}
    for direction, side in ((NEEDS, facet.upstream), (TRIGGERS, facet.downstream)):
        for one in (side or ())[:MOST]:
            if not one.job.namespace or not one.job.name:
                continue
            named = keys.named_job(one.job.namespace, one.job.name)
            rules = map(_rule, (one.dependency_type, one.sequence_trigger_rule, one.status_trigger_rule))
            said = Dependency(direction, named, *rules)
            found[direction, named.id] = min(said, found.get((direction, named.id), said), key=_in_order)
    return Dependencies(tuple(found.values()), _rule(facet.trigger_rule))


def _rule(text: str | None) -> str | None:
    return keys.clean_name(text, _RULE_BYTES) if text else None


def _in_order(one: Dependency) -> tuple[str, ...]:
    return tuple(text or "" for text in one[2:])
