"""Walks over versions: what one was made from, what was made from it, and whether one went into another.

Each level costs a fixed number of statements, whatever its width.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from collector.history.flows import Flows
from collector.history.moment import EVER
from collector.history.readings import Read, resolve
from collector.history.uses import Run, Use
from collector.history.versions import Version, Versions, version_of

Made = Version | int  # a version, or the canonical id of a dataset that nobody wrote


class Step(NamedTuple):
    """``destination`` was made from ``origin`` by a run; how that version and that flow are known."""

    origin: Made
    destination: Version
    run: int
    version_evidence: str
    flow_evidence: str


@dataclass(slots=True)
class VersionWalk:
    """What a walk found: versions by distance, and the steps between them."""

    versions: dict[Made, int]
    steps: dict[Step, None] = field(default_factory=dict)
    left_out: set[Made] = field(default_factory=set)

    def admit(self, new: Iterable[Made], distance: int, limit: int) -> list[Made]:
        """Take in what is not there yet, as far as ``limit`` goes."""
        unknown = [one for one in dict.fromkeys(new) if one not in self.versions]
        room = max(0, limit - len(self.versions))
        if len(unknown) > room:
            unknown.sort(key=_stable)
            self.left_out.update(unknown[room:])
            unknown = unknown[:room]
        self.versions.update(dict.fromkeys(unknown, distance))
        return unknown


def _stable(one: Made) -> tuple[int, int, bytes]:
    return (0, one, b"") if isinstance(one, int) else (one.at_us, one.named, one.key)


def upstream(versions: Versions, start: Made, depth: int, limit: int) -> VersionWalk:
    """Everything that a version was made from, nearest first."""
    flows = Flows(versions.connection)
    found = VersionWalk({start: 0})
    level = [start] if isinstance(start, Version) else []
    for distance in range(1, depth + 1):
        steps = _made_from(versions, flows, level)
        new = found.admit((step.origin for step in steps), distance, limit)
        found.steps.update((step, None) for step in steps if step.origin in found.versions)
        level = [one for one in new if isinstance(one, Version)]
        if not level:
            break
    return found


def downstream(versions: Versions, start: Made, depth: int, limit: int) -> VersionWalk:
    """Everything that was made from a version, or from a dataset before anybody wrote it, nearest first."""
    flows = Flows(versions.connection)
    found = VersionWalk({start: 0})
    level: list[Made] = [start]
    for distance in range(1, depth + 1):
        steps = _made_of(versions, flows, level)
        level = found.admit((step.destination for step in steps), distance, limit)
        found.steps.update((step, None) for step in steps if step.destination in found.versions)
        if not level:
            break
    return found


def path_between(versions: Versions, origin: Made, destination: Version, limit: int) -> list[Made] | None:
    """A shortest chain of versions from ``origin`` to ``destination``; None: the one did not go into the other.

    Walks up from the destination until it meets the origin. Looks at ``limit`` versions at most; raises LookupError
    where that is not enough to know. What is older than the origin is looked at too: a run that names the version that
    it read may have written before that one was told.
    """
    flows = Flows(versions.connection)
    came_to: dict[Made, Version | None] = {destination: None}
    level = [destination]
    while level and origin not in came_to:
        if len(came_to) > limit:
            raise LookupError
        new: list[Version] = []
        for step in _made_from(versions, flows, level):
            one = step.origin
            if one in came_to:
                continue
            came_to[one] = step.destination
            if isinstance(one, Version):
                new.append(one)
        level = new
    if origin not in came_to:
        return None
    path: list[Made] = [origin]
    while (following := came_to[path[-1]]) is not None:
        path.append(following)
    return path


def _made_from(versions: Versions, flows: Flows, level: Collection[Version]) -> list[Step]:
    """The steps into the versions of ``level``."""
    runs = versions.runs({one.run for one in level if one.run})
    sources = flows.sources(runs.values())
    wanted = [(one, runs[one.run], sources[one.run, one.named]) for one in level if one.run in runs]
    readings = {(run.id, use.named): (run, use) for _, run, found in wanted for use in found.inputs}
    reads = resolve(versions, readings.values())
    steps: list[Step] = []
    for one, run, found in wanted:
        for use in found.inputs:
            read = reads[run.id, use.named]
            steps.append(Step(_origin(read, use), one, run.id, read.evidence, found.evidence))
    return steps


def _origin(read: Read, use: Use) -> Made:
    return use.canonical if read.version is None else read.version


def _made_of(versions: Versions, flows: Flows, level: Collection[Made]) -> list[Step]:
    """The steps out of the versions of ``level``."""
    reading = readers(versions, level)
    sources = flows.sources([run for run, _, _ in reading])
    steps: list[Step] = []
    for run, use, read in reading:
        for output in run.outputs:
            made, found = version_of(run, output), sources[run.id, output.named]
            if made is not None and use in found.inputs:
                steps.append(Step(_origin(read, use), made, run.id, read.evidence, found.evidence))
    return steps


def readers(versions: Versions, level: Collection[Made]) -> list[tuple[Run, Use, Read]]:
    """Every reading that was of one of ``level``."""
    wanted = set(level)
    # before its first version, a dataset is as if it had one that was always there
    there = [one if isinstance(one, Version) else Version(one, one, 0, b"", -EVER, None, None, None) for one in level]
    following = versions.next(there)
    windows = [(one, following[one].at_us if one in following else EVER) for one in there]
    candidates = versions.may_have_read(windows)
    # an incremental job may write, late or early, what comes next after what it read
    candidates |= {(after.run, after.canonical) for after in following.values() if after.run}
    runs = versions.runs({run for run, _ in candidates})
    by_run: dict[int, set[int]] = defaultdict(set)
    for run, canonical in candidates:
        by_run[run].add(canonical)
    readings = [(run, use) for run in runs.values() for use in run.inputs if use.canonical in by_run[run.id]]
    reads = resolve(versions, readings)
    found = [(run, use, reads[run.id, use.named]) for run, use in readings]
    return [(run, use, read) for run, use, read in found if _origin(read, use) in wanted]
