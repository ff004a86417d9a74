"""Facet bodies for a page of things, in one statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, select

from collector.curation import NOTHING, Curated, is_curated, read_curated
from collector.facets import is_deleted, read
from collector.facts import IO_PREFIX, JOB_PREFIX, FacetSet
from collector.packing import decompress, unpack_facets
from collector.store.compiled import Among, statement
from collector.tables import facet_body

T = TypeVar("T")


@statement
def _bodies(among: Among) -> Any:
    return select(facet_body.c.id, facet_body.c.body).where(among(facet_body.c.id))


class Bodies:
    """The facets of some rows: which each has, and the raw JSON of those that were asked for."""

    def __init__(
        self,
        connection: Connection,
        packed: Iterable[bytes],
        names: Iterable[str] | None = None,
        *,
        fits: Callable[[str], bool] | None = None,
    ) -> None:
        """Load the bodies that the ``packed`` facet sets refer to.

        Only those of ``names`` and what was said by hand where ``names`` is given; else those whose name ``fits``.
        """
        if names is not None:
            wanted = {one for name in names for one in (name, IO_PREFIX + name)}
            fits = lambda name: name in wanted or is_curated(name)  # noqa: E731
        self._sets: dict[bytes, FacetSet] = {}
        self._by_hand: dict[bytes, list[str]] = {}
        for one in packed:
            if one not in self._sets:
                facets = unpack_facets(one)
                by_hand = [name for name in facets if name[:1] == "h" and is_curated(name)]
                if by_hand:
                    self._by_hand[one] = by_hand
                self._sets[one] = facets if fits is None else {k: v for k, v in facets.items() if fits(k)}
        ids = {body for facets in self._sets.values() for _, _, body in facets.values()}
        self._raw = {body_id: decompress(body) for body_id, body in _bodies(connection, ids)} if ids else {}
        self._read: dict[tuple[int, type], Any] = {}

    def get(self, packed: bytes, name: str, kind: type[T]) -> T | None:
        """The facet ``name`` of a row as ``kind``; None where it is absent, deleted or of another shape."""
        facets = self._sets[packed]
        entry = facets.get(name) or facets.get(IO_PREFIX + name)
        if entry is None:
            return None
        key = (entry[2], kind)
        if key not in self._read:
            self._read[key] = None if self._is_deleted(entry[2]) else read(self._raw[entry[2]], kind)
        found: T | None = self._read[key]
        return found

    def raw(self, packed: bytes, name: str) -> bytes | None:
        """The raw JSON of a row's facet ``name``; None where it is absent or deleted."""
        facets = self._sets[packed]
        entry = facets.get(name) or facets.get(IO_PREFIX + name)
        return None if entry is None or self._is_deleted(entry[2]) else self._raw[entry[2]]

    def all(self, packed: bytes) -> dict[str, orjson.Fragment]:
        """Every facet of a row as raw JSON by name; a dataset's own before those of a reading or writing."""
        found: dict[str, orjson.Fragment] = {}
        for name, (_, _, body) in sorted(
            self._sets[packed].items(), reverse=True
        ):  # "~name" sorts last, so comes first
            if not self._is_deleted(body) and not is_curated(name) and not name.startswith(JOB_PREFIX):
                found[name.removeprefix(IO_PREFIX)] = orjson.Fragment(self._raw[body])
        return dict(sorted(found.items()))

    def of_job(self, packed: bytes) -> dict[str, orjson.Fragment]:
        """The facets that a run's events gave of its job."""
        return {
            name.removeprefix(JOB_PREFIX): orjson.Fragment(self._raw[body])
            for name, (_, _, body) in sorted(self._sets[packed].items())
            if name.startswith(JOB_PREFIX)
            and not is_curated(name.removeprefix(JOB_PREFIX))
            and not self._is_deleted(body)
        }

    def curated(self, packed: bytes) -> Curated:
        """What was said by hand of a row."""
        names = self._by_hand.get(packed)
        if names is None:
            return NOTHING
        facets = self._sets[packed]
        return read_curated((name, self._raw[facets[name][2]]) for name in names)

    def own(self, packed: bytes, of_use: bool) -> dict[str, orjson.Fragment]:
        """The facets of a reading or writing (``of_use``), or those of the dataset itself."""
        return {
            name.removeprefix(IO_PREFIX): orjson.Fragment(self._raw[body])
            for name, (_, _, body) in sorted(self._sets[packed].items())
            if name.startswith(IO_PREFIX) == of_use and not is_curated(name) and not self._is_deleted(body)
        }

    def _is_deleted(self, body: int) -> bool:
        return is_deleted(self._raw[body])
