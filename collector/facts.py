"""From one event to what it says about each thing, and how two such words about one thing become one. Pure.

Every ``merge`` here commutes, is associative and idempotent, so that the stored state is a function of the set of
events: minimum, maximum, union, or the latest by (event time, content hash). The same functions merge two events of one
commit and an event with what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from collector import keys
from collector.curation import HIDDEN, is_aside
from collector.decode import Body, Dataset, Envelope, Event, Job, Run
from collector.delivery import DeliveryFacts, Drop, delivered, without_number
from collector.dependencies import dependencies_of
from collector.facets import (
    IDENTIFYING,
    NominalTime,
    Parent,
    aliases_of,
    checksum_of,
    code_version_of,
    is_deleted,
    lifecycle_of,
    measures_of,
    nominal_time_of,
    origins_of,
    parent_of,
    version_of,
)
from collector.registry import Registry
from collector.statements import STATEMENT, named_in_statement
from collector.tables import INPUT, METRICS, OUTPUT, STATISTICS, UNMEASURED
from collector.versions import declared_version

IO_PREFIX = "~"  # marks a facet of inputFacets or outputFacets among a dataset's own
# what says how much of a dataset was read or written, best first
_MEASURING = ("~outputStatistics", "~inputStatistics", "~dataQualityMetrics", "dataQualityMetrics")
JOB_PREFIX = "^"  # marks a facet that a run's events gave of its job among the run's own

# A facet's place in a facet set: (time_us, tie, reference). The reference is the content hash of its body until the
# commit gives the body an id, then that id.
Entry = tuple[int, int, Any]
FacetSet = dict[str, Entry]

K = TypeVar("K")

STATES = {"START": "RUNNING", "RUNNING": "RUNNING", "COMPLETE": "COMPLETED", "FAIL": "FAILED", "ABORT": "ABORTED"}
# a run's events that write nothing: what a START lists is announced, what a run that failed lists is not published
UNPUBLISHED = ("START", "FAIL", "ABORT")
_STATE_RANK = {"NEW": 0, "RUNNING": 1, "COMPLETED": 2, "FAILED": 2, "ABORTED": 2}
_MENTIONED, _NAMED = 0, 1  # ranks of a run's job: a parent facet's word, the run's own


def merge_facets(mine: FacetSet, theirs: FacetSet) -> list[str]:
    """Take the newer of each facet into ``mine``; returns the names that ``theirs`` won."""
    won = []
    for name, entry in theirs.items():
        old = mine.get(name)
        if old is None or entry[:2] > old[:2]:
            mine[name] = entry
            won.append(name)
    return won


def brings_new(stored: FacetSet, incoming: FacetSet, fits: Callable[[str], bool]) -> bool:
    """Whether ``incoming`` brings a facet of a name that ``fits`` with another body than ``stored`` has."""
    for name, entry in incoming.items():
        if fits(name):
            old = stored.get(name)
            if old is None or old[2] != entry[2]:
                return True
    return False


def earliest(a: int | None, b: int | None) -> int | None:
    """The smaller of two times, of which either may be unknown."""
    return b if a is None or (b is not None and b < a) else a


class DatasetFacts(msgspec.Struct):
    """What is known of a dataset: row of ``dataset``."""

    id: int
    namespace_id: int
    name: str
    created_us: int
    updated_us: int
    canonical_id: int
    lifecycle: str | None
    hidden_us: int | None  # time of the newest DELETE; hidden while nothing is newer
    facets: FacetSet

    def merge(self, other: DatasetFacts) -> None:
        """Take in another word on the same dataset."""
        self.created_us = min(self.created_us, other.created_us)
        self.updated_us = max(self.updated_us, other.updated_us)
        if "lifecycleStateChange" in merge_facets(self.facets, other.facets):
            self.lifecycle = other.lifecycle
        if other.hidden_us is not None:
            self.hidden_us = max(self.hidden_us or other.hidden_us, other.hidden_us)


class JobFacts(msgspec.Struct):
    """What is known of a job: row of ``job``."""

    id: int
    namespace_id: int
    name: str
    created_us: int
    updated_us: int
    parent_id: int | None = None
    parent_stamp: bytes | None = None
    declared_stamp: bytes | None = None
    latest_run: int | None = None  # these five are recomputed from the job's runs, not merged
    input_run: int | None = None
    output_run: int | None = None
    statement_run: int | None = None
    latest_state: str | None = None
    hidden_us: int | None = None
    facets: FacetSet = {}

    def merge(self, other: JobFacts) -> None:
        """Take in another word on the same job."""
        self.created_us = min(self.created_us, other.created_us)
        self.updated_us = max(self.updated_us, other.updated_us)
        if (other.parent_stamp or b"") > (self.parent_stamp or b""):
            self.parent_id, self.parent_stamp = other.parent_id, other.parent_stamp
        self.declared_stamp = max(self.declared_stamp or b"", other.declared_stamp or b"") or None
        if other.hidden_us is not None:
            self.hidden_us = max(self.hidden_us or other.hidden_us, other.hidden_us)
        merge_facets(self.facets, other.facets)


class RunFacts(msgspec.Struct):
    """What is known of a run: row of ``run``, without its id."""

    run_key: bytes
    run_id: str | None
    job_id: int
    job_stamp: bytes
    created_us: int
    updated_us: int
    state: str
    state_stamp: bytes
    started_us: int | None
    ended_us: int | None
    completed_us: int | None
    nominal_start: str | None
    nominal_end: str | None
    parent_key: bytes | None
    root_key: bytes | None
    has_inputs: bool
    has_outputs: bool
    has_statements: bool
    facets: FacetSet

    def merge(self, other: RunFacts) -> None:
        """Take in another word on the same run; a terminal state beats any other, whatever their times."""
        self.run_id = min(filter(None, (self.run_id, other.run_id)), default=None)
        self.created_us = min(self.created_us, other.created_us)
        self.updated_us = max(self.updated_us, other.updated_us)
        self.started_us = earliest(self.started_us, other.started_us)
        self.completed_us = earliest(self.completed_us, other.completed_us)
        self.has_inputs = self.has_inputs or other.has_inputs
        self.has_outputs = self.has_outputs or other.has_outputs
        self.has_statements = self.has_statements or other.has_statements
        if other.job_stamp > self.job_stamp:
            self.job_id, self.job_stamp = other.job_id, other.job_stamp
        if other.state_stamp > self.state_stamp:
            self.state, self.state_stamp, self.ended_us = other.state, other.state_stamp, other.ended_us
        won = merge_facets(self.facets, other.facets)
        if "nominalTime" in won:
            self.nominal_start, self.nominal_end = other.nominal_start, other.nominal_end
        if "parent" in won:
            self.parent_key, self.root_key = other.parent_key, other.root_key


class UseFacts(msgspec.Struct):
    """That a run read or wrote a dataset: row of ``run_dataset``, the run by its key."""

    first_us: int
    version: str | None
    checksum: str | None
    code_version: str | None
    written_us: int | None
    version_key: int | None
    checksum_key: int | None
    measured: int | None
    row_count: int | None
    size: int | None
    file_count: int | None
    facets: FacetSet

    @classmethod
    def of(
        cls,
        first_us: int,
        version: str | None,
        checksum: str | None,
        code_version: str | None,
        written_us: int | None,
        facets: FacetSet,
    ) -> UseFacts:
        """Without the keys and the measures, which its row has."""
        unknown = (None, None, None, None, None, None)
        return cls(first_us, version, checksum, code_version, written_us, *unknown, facets)

    def merge(self, other: UseFacts) -> None:
        """Take in another word on the same reading or writing."""
        self.first_us = min(self.first_us, other.first_us)
        self.written_us = earliest(self.written_us, other.written_us)
        won = merge_facets(self.facets, other.facets)
        if "version" in won:
            self.version, self.version_key = other.version, other.version_key
        if "headwater_checksum" in won:
            self.checksum, self.checksum_key = other.checksum, other.checksum_key
        if "headwater_assetVersion" in won:
            self.code_version = other.code_version
        if other.measured is not None and next(one for one in _MEASURING if one in self.facets) in won:
            self.measured, self.row_count = other.measured, other.row_count
            self.size, self.file_count = other.size, other.file_count

    def measure(self, dataset: Dataset) -> None:
        """Note how much was read or written, by the best facet that says so."""
        for name in _MEASURING:
            if name in self.facets:
                own = name.removeprefix(IO_PREFIX)
                said = (
                    dataset.facets if own == name else {**(dataset.inputFacets or {}), **(dataset.outputFacets or {})}
                )
                if said and is_deleted(said[own].raw):
                    self.measured = UNMEASURED
                else:
                    self.measured = METRICS if own == "dataQualityMetrics" else STATISTICS
                    self.row_count, self.size, self.file_count = measures_of(said, own)
                return


def under_one_name(words: Iterable[tuple[K, int, UseFacts]]) -> dict[K, tuple[int, UseFacts]]:
    """What was said of each key under several names of one dataset, made one, behind the least of the names' ids.

    The first word on a key takes in the others.
    """
    known: dict[K, tuple[int, UseFacts]] = {}
    for key, named, facts in words:
        least, first = known.setdefault(key, (named, facts))
        if first is not facts:
            first.merge(facts)
            known[key] = (min(least, named), first)
    return known


Side = tuple[int, int]  # (direction, dataset id)


class Facts:
    """What a set of events says, by thing: built up by ``add``, then merged into the store in one commit."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.registry = Registry()  # namespaces, sources and tags
        self.datasets: dict[int, DatasetFacts] = {}
        self.jobs: dict[int, JobFacts] = {}
        self.runs: dict[bytes, RunFacts] = {}
        self.uses: dict[bytes, dict[Side, UseFacts]] = {}  # by run key
        # by job id: the newest JobEvent's stamp and datasets
        self.declared: dict[int, tuple[bytes, dict[Side, FacetSet]]] = {}
        self.described: dict[int, FacetSet] = {}  # columnLineage and lineage that a DatasetEvent gave, by dataset id
        self.statements: dict[bytes, set[tuple[int, bytes]]] = {}  # lineage facets by run key: (dataset or 0, digest)
        self.ever: set[tuple[int, int, int]] = set()  # (job, direction, dataset) of all that jobs read, write or state
        # by dataset id and event hash: time, version, checksum
        self.dataset_versions: dict[tuple[int, bytes], tuple[int, str | None, str | None, FacetSet]] = {}
        self.job_versions: dict[int, dict[bytes, tuple[int, str]]] = {}  # by job id and key: time, JSON
        self.aliases: set[tuple[int, int]] = set()
        self.bodies: dict[bytes, bytes] = {}  # facet bodies by content hash
        self.deliveries: dict[bytes, DeliveryFacts] = {}  # by instance and block
        self.delivery_drops: set[Drop] = set()
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """Merge in what ``event`` says."""
        if event.record is not None:
            self.registry.add_record(event)
            return
        self.registry.add(event)
        if event.kind == "run":
            self._add_run_event(event)
        elif event.kind == "job":
            self._add_job_event(event)
        else:
            self._add_dataset_event(event)

    # --- the three kinds ---------------------------------------------------------------------------------------------

    def _add_run_event(self, event: Event) -> None:
        envelope = event.envelope
        assert envelope.run is not None and envelope.job is not None  # decode() made it a run event
        job = self._job(event, envelope.job)
        run = self._run(event, envelope.run, job.id)
        parent = parent_of(envelope.run.facets)
        if parent is not None:
            self._link_parent(event, run, job, parent)
        for dependency in dependencies_of(envelope.run.facets):
            other = self._job(event, Job(namespace=dependency.other.namespace, name=dependency.other.name))
            _merge_into(self.jobs, other.id, other)  # a placeholder until its own events say more
        uses: dict[Side, UseFacts] = {}
        for direction, datasets in ((INPUT, envelope.inputs), (OUTPUT, envelope.outputs)):
            for dataset in datasets or ():
                side, use = self._use(event, direction, dataset)
                if side in uses:
                    uses[side].merge(use)
                else:
                    uses[side] = use
        self.ever.update((job.id, *side) for side in uses)
        self._note_origins(job.id, envelope.outputs)
        run.has_inputs = any(direction == INPUT for direction, _ in uses)
        run.has_outputs = any(direction == OUTPUT for direction, _ in uses)
        for name, entry in job.facets.items():
            run.facets[JOB_PREFIX + name] = entry
        statements = self._statements(event, envelope)
        if statements:
            run.has_statements = True
            self.statements.setdefault(run.run_key, set()).update(statements)
        _merge_into(self.jobs, job.id, job)
        _merge_into(self.runs, run.run_key, run)
        known = self.uses.setdefault(run.run_key, {})
        for side, use in uses.items():
            _merge_into(known, side, use)
        if (delivery := delivered(event, job.id)) is not None:
            _merge_into(self.deliveries, delivery[0].key, delivery[0])
            self.delivery_drops.update(delivery[1])

    def _add_job_event(self, event: Event) -> None:
        assert event.envelope.job is not None
        job = self._job(event, event.envelope.job)
        if is_aside(job.facets) and not event.envelope.inputs and not event.envelope.outputs:
            _merge_into(self.jobs, job.id, job)  # a tag, say: it declares nothing
            return
        job.declared_stamp = keys.stamp(event.time_us, event.hash)
        sides: dict[Side, FacetSet] = {}
        for direction, datasets in ((INPUT, event.envelope.inputs), (OUTPUT, event.envelope.outputs)):
            for dataset in datasets or ():
                side, use = self._use(event, direction, dataset)
                merge_facets(sides.setdefault(side, {}), use.facets)
        self.ever.update((job.id, *side) for side in sides)
        self._note_origins(job.id, event.envelope.outputs)
        self._statements(event, event.envelope)  # for the names in them
        if STATEMENT in job.facets:
            sides[OUTPUT, 0] = {STATEMENT: job.facets[STATEMENT]}
        known = self.declared.get(job.id)
        if known is None or job.declared_stamp > known[0]:
            self.declared[job.id] = (job.declared_stamp, sides)
        self._add_job_version(event, job.id)
        _merge_into(self.jobs, job.id, job)

    def _add_dataset_event(self, event: Event) -> None:
        assert event.envelope.dataset is not None
        dataset = self._dataset(event, event.envelope.dataset)
        self._statements(event, event.envelope)
        flows = {name: dataset.facets[name] for name in ("columnLineage", STATEMENT) if name in dataset.facets}
        self._note_origins(dataset.id, [event.envelope.dataset])
        if flows:
            merge_facets(self.described.setdefault(dataset.id, {}), flows)
        if not is_aside(dataset.facets):
            said = event.envelope.dataset.facets
            known = (event.time_us, version_of(said), checksum_of(said), dict(dataset.facets))
            self.dataset_versions[dataset.id, event.hash] = known
        _merge_into(self.datasets, dataset.id, dataset)

    def _note_origins(self, job: int, outputs: list[Dataset] | None) -> None:
        """That a job may have read what the column lineage of its outputs names."""
        for dataset in outputs or ():
            for origin in origins_of(dataset.facets):
                self.ever.add((job, INPUT, keys.named_dataset(*origin).id))

    def _add_job_version(self, event: Event, job_id: int) -> None:
        key, document = declared_version(event.envelope)
        known = self.job_versions.setdefault(job_id, {})
        known[key] = min((event.time_us, document), known.get(key, (event.time_us, document)))

    # --- the parts ---------------------------------------------------------------------------------------------------

    def _job(self, event: Event, job: Job) -> JobFacts:
        named = keys.named_job(job.namespace, job.name)
        self.registry.mention(named, event.time_us)
        return JobFacts(
            id=named.id,
            namespace_id=named.namespace_id,
            name=named.name,
            created_us=event.time_us,
            updated_us=event.time_us,
            hidden_us=event.time_us if job.facets and HIDDEN in job.facets else None,
            facets=self._facets(event, job.facets),
        )

    def _run(self, event: Event, run: Run, job_id: int) -> RunFacts:
        key, run_id = keys.run_identity(run.runId)
        state = STATES.get(event.event_type or "", "NEW")
        ended = _STATE_RANK[state] == 2
        nominal = nominal_time_of(run.facets) or NominalTime()
        return RunFacts(
            run_key=key,
            run_id=run_id,
            job_id=job_id,
            job_stamp=keys.stamp(event.time_us, event.hash, _NAMED),
            created_us=event.time_us,
            updated_us=event.time_us,
            state=state,
            state_stamp=keys.stamp(event.time_us if state != "NEW" else 0, event.hash, _STATE_RANK[state]),
            started_us=event.time_us if state == "RUNNING" else None,
            ended_us=event.time_us if ended else None,
            completed_us=event.time_us if event.event_type == "COMPLETE" else None,
            nominal_start=nominal.nominalStartTime,
            nominal_end=nominal.nominalEndTime,
            parent_key=None,
            root_key=None,
            has_inputs=False,
            has_outputs=False,
            has_statements=False,
            facets=self._facets(event, without_number(run.facets)),
        )

    def _link_parent(self, event: Event, run: RunFacts, job: JobFacts, parent: Parent) -> None:
        """The run's parent and root, as placeholders until their own events say more."""
        run.parent_key = keys.run_key(parent.run.runId)
        job.parent_id = self._mention(event, parent.run, parent.job)
        job.parent_stamp = keys.stamp(event.time_us, event.hash)
        if job.parent_id == job.id:  # a job is not its own parent
            job.parent_id = None
        if parent.root is not None:
            run.root_key = keys.run_key(parent.root.run.runId)
            self._mention(event, parent.root.run, parent.root.job)

    def _mention(self, event: Event, run: Run, job: Job) -> int:
        job_facts = self._job(event, Job(namespace=job.namespace, name=job.name))
        run_facts = self._run(event, Run(runId=run.runId), job_facts.id)
        run_facts.job_stamp = keys.stamp(event.time_us, event.hash, _MENTIONED)
        run_facts.state, run_facts.started_us, run_facts.ended_us, run_facts.completed_us = "NEW", None, None, None
        run_facts.state_stamp = keys.stamp(0, b"\0" * 8, 0)
        _merge_into(self.jobs, job_facts.id, job_facts)
        _merge_into(self.runs, run_facts.run_key, run_facts)
        return job_facts.id

    def _dataset(self, event: Event, dataset: Dataset) -> DatasetFacts:
        named = keys.named_dataset(dataset.namespace, dataset.name)
        self.registry.mention(named, event.time_us)
        facets = self._facets(event, dataset.facets)
        for extra in (dataset.inputFacets, dataset.outputFacets):
            if extra:
                merge_facets(facets, self._facets(event, extra, IO_PREFIX))
        lifecycle = hidden_us = None
        now = event.time_us
        if _identifies(dataset):
            hidden_us = now if HIDDEN in (dataset.facets or ()) else None
            lifecycle = lifecycle_of(dataset.facets)
            for alias_namespace, alias_name in aliases_of(dataset.facets):
                alias = self._name_dataset(event, alias_namespace, alias_name)
                if alias != named.id:
                    self.aliases.add((named.id, alias))
            for origin_namespace, origin_name in origins_of(dataset.facets):
                self._name_dataset(event, origin_namespace, origin_name)
        return DatasetFacts(named.id, named.namespace_id, named.name, now, now, named.id, lifecycle, hidden_us, facets)

    def _name_dataset(self, event: Event, namespace: str, name: str) -> int:
        """A dataset that a facet only names: an alias, or the origin of a column."""
        named = keys.named_dataset(namespace, name)
        self.registry.mention(named, event.time_us)
        now = event.time_us
        facts = DatasetFacts(named.id, named.namespace_id, named.name, now, now, named.id, None, None, {})
        _merge_into(self.datasets, named.id, facts)
        return named.id

    def _use(self, event: Event, direction: int, dataset: Dataset) -> tuple[Side, UseFacts]:
        facts = self._dataset(event, dataset)
        written_us = event.time_us if direction == OUTPUT and event.event_type not in UNPUBLISHED else None
        use = UseFacts.of(event.time_us, None, None, None, written_us, dict(facts.facets))
        if dataset.inputFacets or dataset.outputFacets or "dataQualityMetrics" in facts.facets:
            use.measure(dataset)
        if _identifies(dataset):
            use.version = version_of(dataset.facets)
            use.checksum = checksum_of(dataset.facets)
            use.version_key = keys.text_key(use.version)
            use.checksum_key = keys.text_key(use.checksum)
            use.code_version = code_version_of(dataset.facets)
        _merge_into(self.datasets, facts.id, facts)
        return (direction, facts.id), use

    def _statements(self, event: Event, envelope: Envelope) -> set[tuple[int, bytes]]:
        """The lineage facets of an event, (the dataset that carries it or 0, digest); what they name is named here."""
        found: set[tuple[int, bytes]] = set()
        owner = keys.named_job(envelope.job.namespace, envelope.job.name).id if envelope.job is not None else 0
        if envelope.job is not None and envelope.job.facets and STATEMENT in envelope.job.facets:
            found.add((0, self._state(event, owner, envelope.job.facets[STATEMENT])))
        for dataset in (envelope.dataset, *(envelope.inputs or ()), *(envelope.outputs or ())):
            if dataset is not None and dataset.facets and STATEMENT in dataset.facets:
                named = keys.named_dataset(dataset.namespace, dataset.name)
                # what a DatasetEvent states has no job: the dataset itself stands for one
                found.add((named.id, self._state(event, owner or named.id, dataset.facets[STATEMENT])))
                self.ever.add((owner or named.id, OUTPUT, named.id))
        return found

    def _state(self, event: Event, owner: int, body: Body) -> bytes:
        names = named_in_statement(body)
        jobs = {owner}
        for namespace, name in names.jobs:
            job = self._job(event, Job(namespace=namespace, name=name))
            _merge_into(self.jobs, job.id, job)
            jobs.add(job.id)
        for namespace, name in names.datasets:
            dataset = self._name_dataset(event, namespace, name)
            self.ever.update((job, side, dataset) for job in jobs for side in (INPUT, OUTPUT))
        return body.digest

    def _facets(self, event: Event, facets: dict[str, Body] | None, prefix: str = "") -> FacetSet:
        if not facets:
            return {}
        entries: FacetSet = {}
        bodies, time_us = self.bodies, event.time_us
        for name, (digest, tie, raw) in facets.items():
            bodies[digest] = raw
            entries[prefix + name] = (time_us, tie, digest)
        return entries


def facet_entries(facts: Facts) -> Iterator[FacetSet]:
    """Every facet set of ``facts``."""
    for things in (facts.datasets, facts.jobs, facts.runs):
        for thing in things.values():
            yield thing.facets
    for uses in facts.uses.values():
        for use in uses.values():
            yield use.facets
    for _, sides in facts.declared.values():
        yield from sides.values()
    yield from facts.described.values()
    for *_, facets in facts.dataset_versions.values():
        yield facets


def _identifies(dataset: Dataset) -> bool:
    """Whether the dataset carries any facet that says more than what to show."""
    return bool(dataset.facets) and not IDENTIFYING.isdisjoint(dataset.facets or ())


def _merge_into(known: dict[Any, Any], key: Any, facts: Any) -> None:
    old = known.get(key)
    if old is None:
        known[key] = facts
    else:
        old.merge(facts)
