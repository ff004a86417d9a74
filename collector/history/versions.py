"""Versions of datasets in their order, at a moment: which one was newest when, which came next, who may have read one.

A *data version* is what a run wrote, or what a DatasetEvent tells that names a version or a checksum. A DatasetEvent
that names neither tells of the dataset, not of its data: it counts only where there is nothing else.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, select

from collector import keys, tables
from collector.history.moment import EVER, NOW, Moment
from collector.history.uses import Run, Use, runs_at
from collector.store.engines import keep_to_indexes
from collector.store.keyed import Row, ask
from collector.versions import version_uuid

BY_VERSION, BY_CHECKSUM = "version", "checksum"
K = TypeVar("K")


class Version(NamedTuple):
    """A version of a dataset."""

    canonical: int
    named: int  # the dataset's id under the name by which it was written, the least of several
    run: int  # run.id; 0: a DatasetEvent tells of it
    key: bytes  # of the run, or the event's hash
    at_us: int
    version: str | None
    checksum: str | None
    code_version: str | None

    @property
    def order(self) -> tuple[int, bytes]:
        """Versions of one dataset come in this order."""
        return (self.at_us, self.key)

    @property
    def uuid(self) -> str:
        """Its UUID, as Marquez's calls show it."""
        return version_uuid(self.named, self.key)

    @property
    def is_named(self) -> bool:
        """Whether anything tells its data from another's."""
        return self.version is not None or self.checksum is not None


class Limit(NamedTuple):
    """``canonical``'s versions up to ``at_us``, those of the run ``not_run`` aside."""

    canonical: int
    at_us: int
    not_run: int = -1


_COLUMNS = "s.canonical_id, w.dataset_id, w.run, r.run_key, w.written_us, w.version, w.checksum, w.code_version"


class Versions:
    """The versions of a store at a moment that is now, or is given by event time: each answer by index.

    What was known by a commit is ``KnownVersions``' to say; ``versions_at`` chooses.
    """

    def __init__(self, connection: Connection, moment: Moment = NOW) -> None:
        self.connection = connection
        self.moment = moment
        self._has_told: bool | None = None
        self._has_late: bool | None = None
        self._has_aliases: bool | None = None
        self._is_several: dict[int, bool] = {}
        self._told_of: dict[int, list[Version]] = {}
        self._runs: dict[int, Run] = {}
        self._next: dict[Version, Version | None] = {}

    # --- runs --------------------------------------------------------------------------------------------------------

    def runs(self, runs: Collection[int]) -> dict[int, Run]:
        """What each of ``runs`` did, at the moment; each run is read once."""
        new = [run for run in runs if run not in self._runs]
        self._runs |= runs_at(self.connection, new, self.moment)
        return {run: self._runs[run] for run in runs if run in self._runs}

    # --- which was there ---------------------------------------------------------------------------------------------

    def newest(self, datasets: Iterable[int]) -> dict[int, Version]:
        """The newest version of each dataset that has one."""
        wanted = [Limit(dataset, self.moment.as_of_us) for dataset in dict.fromkeys(datasets)]
        return {limit.canonical: one for limit, one in self.before(wanted).items()}

    def newest_written(self, datasets: Iterable[int]) -> dict[int, Version]:
        """The newest version of each dataset that a run wrote."""
        wanted = [Limit(dataset, self.moment.as_of_us) for dataset in datasets]
        return {limit.canonical: one for limit, one in self._written_before(wanted).items()}

    def before(self, limits: Collection[Limit]) -> dict[Limit, Version]:
        """The newest data version within each limit; where there is none, the newest that a DatasetEvent told of."""
        found = self._written_before(limits)
        for limit in limits if self._tells() else ():
            told = [one for one in self.told(limit.canonical) if one.at_us <= limit.at_us]
            best = [one for one in told if one.is_named][-1:] + ([found[limit]] if limit in found else [])
            if best or told:
                found[limit] = max(best, key=lambda one: one.order) if best else told[-1]
        return found

    def named(self, wanted: Collection[tuple[Limit, str, str]]) -> dict[tuple[Limit, str, str], Version]:
        """The version with a name, (limit, BY_… , name): the newest within the limit, else the first."""
        found = self._written_named(wanted)
        for one in wanted if self._tells() else ():
            limit, by, text = one
            told = [v for v in self.told(limit.canonical) if (v.version if by == BY_VERSION else v.checksum) == text]
            both = sorted([*told, *([found[one]] if one in found else [])], key=lambda version: version.order)
            if both:
                found[one] = _newest_or_first(both, limit.at_us)
        return found

    def next(self, versions: Collection[Version]) -> dict[Version, Version]:
        """The data version that came after each; none: the version is not superseded. Each is asked for once."""
        new = [one for one in versions if one not in self._next]
        self._next |= dict.fromkeys(new) | self._after(new)
        return {one: after for one in versions if (after := self._next[one]) is not None}

    def _after(self, versions: Collection[Version]) -> dict[Version, Version]:
        found = self._written_after(versions)
        for one in versions if self._tells() else ():
            told = [v for v in self.told(one.canonical) if v.is_named and v.order > one.order]
            known = [*told[:1], *([found[one]] if one in found else [])]
            if known:
                found[one] = min(known, key=lambda version: version.order)
            elif not one.is_named and not one.run:
                # nothing but descriptions: then each supersedes the one before it
                told = self.told(one.canonical)
                later = [] if any(v.is_named for v in told) else [v for v in told if v.order > one.order]
                if later and not self._written_before([Limit(one.canonical, self.moment.as_of_us)]):
                    found[one] = later[0]
        return found

    def by_key(self, canonical: int, keys_: Collection[bytes]) -> list[Version]:
        """The versions that the runs or DatasetEvents with these keys made of a dataset."""
        r = tables.run.c
        runs = self.connection.execute(select(r.id).where(r.run_key.in_(list(keys_)))).scalars().all()
        made = [
            version_of(run, use)
            for run in self.runs(runs).values()
            for use in run.outputs
            if use.canonical == canonical
        ]
        return [one for one in made if one is not None] + [one for one in self.told(canonical) if one.key in keys_]

    def with_checksum_value(self, canonical: int, start: str) -> list[Version]:
        """The versions whose checksum's value begins so: looks through all of the dataset's."""
        found = [one for one in self._every(canonical) if one.checksum]
        return [one for one in found if (one.checksum or "").partition(":")[2].startswith(start)]

    def _every(self, canonical: int) -> list[Version]:
        """All of a dataset's versions in their order."""
        written = self._rows(canonical)
        if self._with_several_names([canonical]) or self._under_way(one.run for one in written):
            made = self._made_by({one.run for one in written})
            written = list({made.get((one.run, canonical), one) for one in written})
        return sorted([*written, *self.told(canonical)], key=lambda one: one.order)

    def _rows(self, canonical: int) -> list[Version]:
        """What runs wrote of a dataset, under each name a version."""
        sql = (
            f"SELECT {_COLUMNS} FROM {{k}} {{x}} dataset AS s ON s.canonical_id = k.a "
            f"{{x}} run_dataset AS w ON w.dataset_id = s.id AND w.written_us <= ? AND {self._listed('w')} "
            "{x} run AS r ON r.id = w.run"
        )
        return [_of_row(row) for row in self._ask(sql, [(canonical,)])]

    def history(self, canonical: int) -> list[Version]:
        """All data versions of a dataset in their order; only told ones where there are no others."""
        every = self._every(canonical)
        return [one for one in every if one.run or one.is_named] or every

    # --- who may have read one ---------------------------------------------------------------------------------------

    def may_have_read(self, windows: Collection[tuple[Version, int]]) -> set[tuple[int, int]]:
        """(run, canonical dataset) of every run that may have read one of the versions, each the newest until a time.

        More than did: what each really read is for ``readings`` to say. Costs the runs that started in the windows.
        """
        window = [(one.canonical, one.at_us, until) for one, until in windows]
        jobs = "SELECT r.id, k.a FROM {k} {x} dataset AS s ON s.canonical_id = k.a " + _READERS
        use = "{x} run_dataset AS u ON u.run = r.id AND u.direction = 0 AND u.dataset_id = s.id"
        found: set[tuple[int, int]] = set()
        for condition in self._windows():
            sql = f"{jobs} {{x}} run AS r ON r.job_id = jd.job_id AND {condition} {use} AND {self._listed('u')}"
            found.update(self._ask(sql, window))
        for column, text in (("version_key", 5), ("checksum_key", 6)):
            named = [(one.canonical, keys.text_key(str(one[text]))) for one, _ in windows if one[text] is not None]
            sql = (
                "SELECT u.run, k.a FROM {k} {x} dataset AS s ON s.canonical_id = k.a "
                f"{{x}} run_dataset AS u ON u.dataset_id = s.id AND u.{column} = k.b AND u.written_us IS NULL "
                f"AND u.direction = 0 AND {self._listed('u')}"
            )
            found.update(self._ask(sql, named))
        return found

    def _windows(self) -> tuple[str, ...]:
        """Conditions on ``run`` that, together, take in all that started between ``k.b`` and ``k.c``."""
        in_time = "r.created_us >= k.b AND r.created_us < k.c"
        if self._has_late is None:
            sql = f"SELECT 1 FROM run WHERE {tables.STARTED_LATE} LIMIT 1"
            self._has_late = self.connection.exec_driver_sql(sql).first() is not None
        late = "r.started_us > r.created_us AND r.started_us >= k.b AND r.started_us < k.c"
        return (in_time, late) if self._has_late else (in_time,)

    # --- what runs wrote, by index -----------------------------------------------------------------------------------

    def _ask(self, sql: str, keyed: Sequence[Row]) -> list[Row]:
        """The answer to a statement in which each ``?`` stands for the moment's event time."""
        return ask(self.connection, sql, keyed, *[self.moment.as_of_us] * sql.count("?"))

    def _listed(self, use: str) -> str:
        """That a row of ``run_dataset`` was there at the moment: which costs the row, beside the index."""
        return "1 = 1" if self.moment.as_of_us == EVER else f"{use}.first_us <= ?"

    def _written_before(self, limits: Collection[Limit]) -> dict[Limit, Version]:
        keyed = [(place, *limit) for place, limit in enumerate(limits)]
        newest = (
            "(SELECT o.written_us FROM run_dataset AS o WHERE o.dataset_id = s.id AND o.written_us <= k.c "
            f"AND o.run <> k.d AND {self._listed('o')} ORDER BY o.written_us DESC LIMIT 1)"
        )
        sql = _written("k.b", f"w.written_us = {newest} AND w.run <> k.d AND {self._listed('w')}")
        found, doubtful = self._joined(_greatest(list(limits), self._ask(sql, keyed)))
        return found | self._whole()._written_before(doubtful) if doubtful else found

    def _written_named(self, wanted: Collection[tuple[Limit, str, str]]) -> dict[tuple[Limit, str, str], Version]:
        several = self._with_several_names(limit.canonical for limit, _, _ in wanted)
        found = self._joined_named([one for one in wanted if one[0].canonical in several]) if several else {}
        for by in (BY_VERSION, BY_CHECKSUM):
            asked = [one for one in wanted if one[1] == by and one[0].canonical not in several]
            keyed = [(n, *limit, keys.text_key(text)) for n, (limit, _, text) in enumerate(asked)]
            same = f"o.dataset_id = s.id AND o.{by}_key = k.e AND o.run <> k.d AND {self._listed('o')}"
            at = (
                f"COALESCE((SELECT o.written_us FROM run_dataset AS o WHERE {same} AND o.written_us <= k.c "
                "ORDER BY o.written_us DESC LIMIT 1), "
                f"(SELECT o.written_us FROM run_dataset AS o WHERE {same} AND o.written_us > k.c AND o.written_us <= ? "
                "ORDER BY o.written_us LIMIT 1))"
            )
            sql = _written("k.b", f"w.{by}_key = k.e AND w.written_us = {at} AND w.run <> k.d AND {self._listed('w')}")
            alike: dict[Any, list[Version]] = defaultdict(list)
            for place, *row in self._ask(sql, keyed):
                alike[place].append(_of_row(row))
            for place, versions in alike.items():
                versions.sort(key=lambda version: version.order)
                found[asked[place]] = _newest_or_first(versions, asked[place][0].at_us)
        under_way = self._under_way(version.run for version in found.values())
        doubtful = [one for one, version in found.items() if version.run in under_way]
        found = {one: version for one, version in found.items() if version.run not in under_way}
        return found | self._whole()._written_named(doubtful) if doubtful else found

    def _written_after(self, versions: Collection[Version]) -> dict[Version, Version]:
        asked = list(versions)
        keyed = [(n, one.canonical, one.at_us) for n, one in enumerate(asked)]
        later = (
            "(SELECT o.written_us FROM run_dataset AS o WHERE o.dataset_id = s.id AND o.written_us > k.c "
            f"AND o.written_us <= ? AND {self._listed('o')} ORDER BY o.written_us LIMIT 1)"
        )
        # its own moment too, at which others may have been written
        sql = _written("k.b", f"w.written_us IN (k.c, {later}) AND {self._listed('w')}")
        found: dict[Version, Version] = {}
        for place, *row in self._ask(sql, keyed):
            one, other = asked[place], _of_row(row)  # type: ignore[call-overload]
            if other.order > one.order and (one not in found or other.order < found[one].order):
                found[one] = other
        found, doubtful = self._joined(found)
        return found | self._whole()._written_after(doubtful) if doubtful else found

    # --- what a row does not say: a dataset under several names, a run that told more after the moment ---------------

    def _with_several_names(self, datasets: Iterable[int]) -> set[int]:
        """Those of the datasets that have more names than one: most stores have none."""
        if self._has_aliases is None:
            sql = "SELECT 1 FROM dataset_alias LIMIT 1"
            self._has_aliases = self.connection.exec_driver_sql(sql).first() is not None
        if not self._has_aliases:
            return set()
        wanted = set(datasets)
        new = [(one,) for one in wanted - self._is_several.keys()]
        sql = "SELECT DISTINCT k.a FROM {k} {x} dataset AS s ON s.canonical_id = k.a AND s.id <> k.a"
        self._is_several |= dict.fromkeys((one for (one,) in new), False)
        self._is_several |= dict.fromkeys((one for (one,) in ask(self.connection, sql, new)), True)
        return {one for one in wanted if self._is_several[one]}

    def _joined(self, found: dict[K, Version]) -> tuple[dict[K, Version], list[K]]:
        """Versions of single rows as their runs had told them; and the keys of those that were there before that row.

        Without the latter the answer stands: a version's first row is where it has its place among the others.
        """
        several = self._with_several_names(one.canonical for one in found.values())
        under_way = self._under_way(one.run for one in found.values())
        if not several and not under_way:
            return found, []
        rows = {key: one for key, one in found.items() if one.canonical in several or one.run in under_way}
        made = self._made_by({one.run for one in rows.values()})
        joined = {key: made.get((one.run, one.canonical), one) for key, one in rows.items()}
        doubtful = [key for key, one in joined.items() if one.at_us != rows[key].at_us]
        found = found | joined
        return {key: one for key, one in found.items() if key not in doubtful}, doubtful

    def _under_way(self, runs: Iterable[int]) -> set[int]:
        """Those of the runs that told more after the moment: their rows may say what was not told yet."""
        if self.moment.as_of_us == EVER:
            return set()
        sql = "SELECT r.id FROM {k} {x} run AS r ON r.id = k.a AND r.updated_us > ?"
        return {run for (run,) in self._ask(sql, [(run,) for run in set(runs)])}

    def _joined_named(self, wanted: Sequence[tuple[Limit, str, str]]) -> dict[tuple[Limit, str, str], Version]:
        """``_written_named`` of datasets with several names: looks at every version that was ever named so."""
        alike: dict[tuple[Limit, str, str], set[Version]] = defaultdict(set)
        for by, place_of in ((BY_VERSION, 5), (BY_CHECKSUM, 6)):
            asked = [one for one in wanted if one[1] == by]
            keyed = [(n, limit.canonical, keys.text_key(text)) for n, (limit, _, text) in enumerate(asked)]
            sql = _written("k.b", f"w.{by}_key = k.c AND w.written_us <= ? AND {self._listed('w')}")
            rows = [(asked[place], _of_row(row)) for place, *row in self._ask(sql, keyed)]
            made = self._made_by({version.run for _, version in rows})
            for one, row in rows:
                version = made.get((row.run, row.canonical), row)
                if version[place_of] == one[2] and version.run != one[0].not_run:
                    alike[one].add(version)
        return {
            one: _newest_or_first(sorted(versions, key=lambda version: version.order), one[0].at_us)
            for one, versions in alike.items()
        }

    def _made_by(self, runs: Collection[int]) -> dict[tuple[int, int], Version]:
        """What each run wrote of each dataset; not of those whose events this release cannot read."""
        made = [version_of(run, use) for run in self.runs(runs).values() for use in run.outputs]
        return {(one.run, one.canonical): one for one in made if one is not None}

    def _whole(self) -> KnownVersions:
        """The same versions, each dataset's read whole."""
        whole = KnownVersions(self.connection, self.moment)
        whole._runs = self._runs
        return whole

    # --- what DatasetEvents told -------------------------------------------------------------------------------------

    def _tells(self) -> bool:
        """Whether a DatasetEvent tells of any version at all."""
        if self._has_told is None:
            sql = "SELECT 1 FROM dataset_version LIMIT 1"
            self._has_told = self.connection.exec_driver_sql(sql).first() is not None
        return self._has_told

    def told(self, canonical: int) -> list[Version]:
        """The versions that DatasetEvents told of, in their order; most stores have none."""
        if not self._tells():
            return []
        if canonical not in self._told_of:
            sql = (
                "SELECT s.canonical_id, v.dataset_id, 0, v.key, v.created_us, v.version, v.checksum, NULL FROM {k} "
                "{x} dataset AS s ON s.canonical_id = k.a {x} dataset_version AS v ON v.dataset_id = s.id "
                "{x} event AS e ON e.time_us = v.created_us AND e.hash = v.key "
                "WHERE v.created_us <= ? AND e.id <= ?"
            )
            rows = ask(self.connection, sql, [(canonical,)], self.moment.as_of_us, self.moment.known_id)
            self._told_of[canonical] = sorted(map(_of_row, rows), key=lambda one: one.order)
        return self._told_of[canonical]


class KnownVersions(Versions):
    """The versions that were known by a commit: an index cannot say, so each dataset's are read whole, once."""

    def __init__(self, connection: Connection, moment: Moment) -> None:
        super().__init__(connection, moment)
        self._written_of: dict[int, list[Version]] = {}

    def _every(self, canonical: int) -> list[Version]:
        return sorted([*self._written(canonical), *self.told(canonical)], key=lambda one: one.order)

    def _written(self, canonical: int) -> list[Version]:
        if canonical not in self._written_of:
            runs = {one.run for one in self._rows(canonical)}
            made = [
                version_of(run, use)
                for run in self.runs(runs).values()
                for use in run.outputs
                if use.canonical == canonical
            ]
            self._written_of[canonical] = sorted((v for v in made if v is not None), key=lambda one: one.order)
        return self._written_of[canonical]

    def _written_before(self, limits: Collection[Limit]) -> dict[Limit, Version]:
        found: dict[Limit, Version] = {}
        for limit in limits:
            known = self._written(limit.canonical)
            place = bisect_right(known, limit.at_us, key=lambda one: one.at_us)
            while place and known[place - 1].run == limit.not_run:
                place -= 1
            if place:
                found[limit] = known[place - 1]
        return found

    def _written_named(self, wanted: Collection[tuple[Limit, str, str]]) -> dict[tuple[Limit, str, str], Version]:
        found: dict[tuple[Limit, str, str], Version] = {}
        for one in wanted:
            limit, by, text = one
            known = [v for v in self._written(limit.canonical) if v.run != limit.not_run]
            known = [v for v in known if (v.version if by == BY_VERSION else v.checksum) == text]
            if known:
                found[one] = _newest_or_first(known, limit.at_us)
        return found

    def _written_after(self, versions: Collection[Version]) -> dict[Version, Version]:
        found: dict[Version, Version] = {}
        for one in versions:
            known = self._written(one.canonical)
            place = bisect_right(known, one.order, key=lambda other: other.order)
            if place < len(known):
                found[one] = known[place]
        return found

    def _windows(self) -> tuple[str, ...]:
        # one that was under way by then may have started later than is known today
        under_way = f"(SELECT MAX(e.event_id) FROM run_event AS e WHERE e.run = r.id) > {self.moment.known_id:d}"
        return (*super()._windows(), f"r.created_us < k.c AND {under_way}")


def versions_at(connection: Connection, moment: Moment) -> Versions:
    """The versions of a store at a moment."""
    keep_to_indexes(connection)
    return KnownVersions(connection, moment) if moment.is_by_commit else Versions(connection, moment)


_READERS = "{x} job_dataset AS jd ON jd.dataset_id = s.id AND jd.direction = 0"


def _written(canonical: str, condition: str) -> str:
    """The versions of a dataset's every name that meet a condition on ``w``, after the place of the question."""
    return (
        f"SELECT k.a, {_COLUMNS} FROM {{k}} {{x}} dataset AS s ON s.canonical_id = {canonical} "
        f"{{x}} run_dataset AS w ON w.dataset_id = s.id AND {condition} {{x}} run AS r ON r.id = w.run"
    )


def _greatest(asked: Sequence[Limit], rows: Iterable[tuple[object, ...]]) -> dict[Limit, Version]:
    found: dict[Limit, Version] = {}
    for place, *row in rows:
        limit, one = asked[place], _of_row(row)  # type: ignore[call-overload]
        if limit not in found or one.order > found[limit].order:
            found[limit] = one
    return found


def _newest_or_first(versions: Sequence[Version], at_us: int) -> Version:
    """Of versions in their order: the newest up to a time, else the first."""
    return next((one for one in reversed(versions) if one.at_us <= at_us), versions[0])


def _of_row(row: Sequence[object]) -> Version:
    canonical, named, run, key, *rest = row
    return Version(canonical, named, run, bytes(key), *rest)  # type: ignore[arg-type, call-overload]


def version_of(run: Run, use: Use) -> Version | None:
    """The version that a run's output is, once it is written."""
    if use.written_us is None:
        return None
    return Version(
        use.canonical, use.named, run.id, run.key, use.written_us, use.version, use.checksum, use.code_version
    )
