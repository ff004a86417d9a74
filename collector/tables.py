"""The tables, as SQLAlchemy Core: one definition for SQLite and PostgreSQL.

``event`` and ``quarantine`` hold what arrived. Every other table is derived from ``event`` by merges that commute
(minimum, maximum, union, latest by stamp) and can be rebuilt from it at any time.

Times are microseconds since 1970 UTC. A namespace's, dataset's or job's id is a hash of its name (``keys.py``), so that
two collectors, or a rebuild, give the same thing the same id without asking the database. A *stamp* is 16 bytes that
sort by (event time, content hash). A *facet set* is a msgpack map of ``name: [time_us, tie, body_id]``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives rowid speed only to a column declared exactly INTEGER PRIMARY KEY.
Id = BigInteger().with_variant(Integer(), "sqlite")
Bytes = LargeBinary

INPUT, OUTPUT = 0, 1  # values of the ``direction`` columns
STATED_DATASET, STATED_JOB, STATED_NOTHING = 0, 1, 2  # values of the kind columns of ``stated_edge``
UNMEASURED, METRICS, STATISTICS = 0, 1, 2  # values of the ``measured`` column of ``run_dataset``
NEEDS, TRIGGERS, TOLD_BY = 0, 1, 2  # values of the ``direction`` column of ``job_dependency``

NOT_OF_RUNS = "kind <> 'run'"  # of events
STARTED_LATE = "started_us > created_us"  # of runs
FAILING = "NOT success"  # of assertions, by their newest result
MEASURED_READING = "measured > 0 AND direction = 0"  # of rows of run_dataset
UNLISTED = "hidden_us IS NOT NULL OR canonical_id <> id OR lifecycle = 'DROP'"  # of datasets: may not be listed


def _where(condition: str) -> dict[str, Any]:
    """The condition of an index over some of the rows."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


# --- what arrived ----------------------------------------------------------------------------------------------------

event = Table(
    "event",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),  # commit order
    Column("hash", Bytes(16), nullable=False),  # of the raw body: the same body counts once
    Column("kind", String(9), nullable=False),  # run | job | dataset, and ours: namespace | source | tag
    Column("event_type", String(8)),  # START RUNNING COMPLETE ABORT FAIL OTHER, run events only
    Column("time_us", BigInteger, nullable=False),  # eventTime
    Column("received_us", BigInteger, nullable=False),
    Column("raw_size", Integer, nullable=False),  # bytes of the raw JSON
    Column("body", Bytes, nullable=False),  # zstd of the raw JSON
    # one index for both questions, "events by time" and "seen before?": new events land side by side in it
    Index("uq_event_time_hash", "time_us", "hash", unique=True),
    # the few that are not of runs, so that they can be taken out of a count, or be read alone
    Index("ix_event_other", "time_us", "kind", **_where(NOT_OF_RUNS)),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Id, primary_key=True),
    Column("hash", Bytes(16), nullable=False, unique=True),
    Column("received_us", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),  # JSON: {"message": …, "errors": {field path: [message, …]}}
    Column("body", Bytes, nullable=False),  # zstd of what was sent
)

# --- what it means ---------------------------------------------------------------------------------------------------


def _registered() -> list[Column[Any]]:
    """The columns of what is known by its name alone (registry.py)."""
    return [
        Column("id", Id, primary_key=True, autoincrement=False),
        Column("name", Text, nullable=False, index=True),
        Column("created_us", BigInteger, nullable=False),  # min eventTime
        Column("updated_us", BigInteger, nullable=False),  # max eventTime, to the minute
        Column("stamp", Bytes(17)),  # of the newest word on it
        Column("record", Text),  # that word: JSON {ownerName, description, type, connectionUrl}
    ]


namespace = Table(
    "namespace",
    metadata,
    *_registered(),
    Column("hidden_us", BigInteger),  # time of the newest DELETE; hidden while nothing is newer
)

source = Table("source", metadata, *_registered())
tag = Table("tag", metadata, *_registered())

dataset = Table(
    "dataset",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("namespace_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),  # min eventTime
    Column("updated_us", BigInteger, nullable=False),  # max eventTime
    Column("canonical_id", BigInteger, nullable=False),  # the dataset that this name stands for; itself as a rule
    Column("lifecycle", String(16)),  # newest lifecycleStateChange: CREATE DROP RENAME TRUNCATE …
    Column("hidden_us", BigInteger),
    Column("facets", Bytes, nullable=False),
    Index(None, "namespace_id", "name", "id"),
    Index("ix_dataset_unlisted", "namespace_id", **_where(UNLISTED)),
    Index(None, "canonical_id"),
)

# Two names of one dataset: symlinks, and lifecycleStateChange RENAME. A union, never shrinking.
dataset_alias = Table(
    "dataset_alias",
    metadata,
    Column("dataset_id", BigInteger, nullable=False),  # the name that the event was about
    Column("alias_id", BigInteger, nullable=False),  # the other name that it gave
    PrimaryKeyConstraint("dataset_id", "alias_id"),
    Index(None, "alias_id"),
)

job = Table(
    "job",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("namespace_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Column("parent_id", BigInteger),  # the parent job, from the newest ``parent`` facet of its runs
    Column("parent_stamp", Bytes(16)),
    Column("declared_stamp", Bytes(16)),  # of the newest JobEvent
    Column("latest_run", BigInteger),  # run.id of the newest run
    Column("input_run", BigInteger),  # run.id of the newest run that read anything
    Column("output_run", BigInteger),  # run.id of the newest run that wrote anything
    Column("statement_run", BigInteger),  # run.id of the newest run that wrote anything or stated its lineage
    Column("latest_state", String(9)),  # state of the newest run
    Column("hidden_us", BigInteger),
    Column("facets", Bytes, nullable=False),
    # with the state, so that a page of jobs in some states, and their number, are read from the index alone
    Index("ix_job_listed", "namespace_id", "name", "id", "latest_state"),
    Index("ix_job_named", "name", "id", "latest_state"),
    Index("ix_job_unlisted", "namespace_id", **_where("hidden_us IS NOT NULL")),
    Index(None, "parent_id"),
)

run = Table(
    "run",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("run_key", Bytes(16), nullable=False, unique=True),  # the UUID, or a name-based one of what was sent
    Column("run_id", Text),  # what was sent, where that is not the UUID's own spelling
    Column("job_id", BigInteger, nullable=False),
    Column("job_stamp", Bytes(17), nullable=False),  # newest naming of the job; a mention as parent counts least
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Column("state", String(9), nullable=False),  # NEW RUNNING COMPLETED FAILED ABORTED
    Column("state_stamp", Bytes(17), nullable=False),
    Column("started_us", BigInteger),  # min time of START or RUNNING
    Column("ended_us", BigInteger),  # time of the terminal event that won
    Column("completed_us", BigInteger),  # min time of COMPLETE
    Column("nominal_start", Text),
    Column("nominal_end", Text),
    Column("parent_key", Bytes(16)),  # run_key of the parent run
    Column("root_key", Bytes(16)),
    Column("has_inputs", Boolean, nullable=False),
    Column("has_outputs", Boolean, nullable=False),
    Column("has_statements", Boolean, nullable=False),
    Column("facets", Bytes, nullable=False),
    Index("ix_run_newest", "job_id", "created_us", "run_key"),
    # the few that were heard of before they started: any other's start is its created_us
    Index("ix_run_late", "job_id", "started_us", **_where(STARTED_LATE)),
    Index("ix_run_parent", "parent_key", **_where("parent_key IS NOT NULL")),
)

# What a run read and wrote: a union over its events. An OUTPUT row is a dataset version once it is written.
run_dataset = Table(
    "run_dataset",
    metadata,
    Column("run", BigInteger, nullable=False),  # run.id
    Column("direction", SmallInteger, nullable=False),
    Column("dataset_id", BigInteger, nullable=False),
    Column("first_us", BigInteger, nullable=False),
    Column("version", Text),  # ``version`` facet: datasetVersion
    Column("checksum", Text),  # headwater_checksum: "algorithm:value"
    Column("code_version", Text),  # headwater_assetVersion: codeVersion
    # an OUTPUT's: min time of the run's events, START, FAIL and ABORT aside, that list it, and of its COMPLETE
    Column("written_us", BigInteger),
    Column("version_key", BigInteger),  # hashes of ``version`` and ``checksum``, to find them by
    Column("checksum_key", BigInteger),
    # what ``outputStatistics`` or ``inputStatistics`` say of it, else ``dataQualityMetrics``
    Column("measured", SmallInteger),  # which of these it was; UNMEASURED: that was deleted; None: neither came
    Column("row_count", BigInteger),
    Column("size", BigInteger),  # bytes
    Column("file_count", BigInteger),
    Column("facets", Bytes, nullable=False),  # dataset facets; those of inputFacets and outputFacets as "~name"
    PrimaryKeyConstraint("run", "direction", "dataset_id"),
    # each only of the rows that it is asked for: a commit pays for each entry with a page of its own
    Index("ix_run_dataset_written", "dataset_id", "written_us", **_where("written_us IS NOT NULL")),
    Index("ix_run_dataset_version", "dataset_id", "version_key", "written_us", **_where("version_key IS NOT NULL")),
    Index("ix_run_dataset_checksum", "dataset_id", "checksum_key", "written_us", **_where("checksum_key IS NOT NULL")),
    # readings alone: what was written is found by the first of these
    Index("ix_run_dataset_measured", "dataset_id", "first_us", **_where(MEASURED_READING)),
    sqlite_with_rowid=False,
)

# Every dataset that a job ever read or wrote, was declared or stated to: where to look for its past. Never shrinking.
# A dataset stands for the job where DatasetEvents state what it is made of.
job_dataset = Table(
    "job_dataset",
    metadata,
    Column("job_id", BigInteger, nullable=False),
    Column("direction", SmallInteger, nullable=False),
    Column("dataset_id", BigInteger, nullable=False),  # as named
    PrimaryKeyConstraint("job_id", "direction", "dataset_id"),
    Index("ix_job_dataset_dataset", "dataset_id", "direction", "job_id"),
    sqlite_with_rowid=False,
)

# The events of each run, and those about each job and dataset without a run: what was known of it, and when.
run_event = Table(
    "run_event",
    metadata,
    Column("run", BigInteger, nullable=False),  # run.id
    Column("event_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("run", "event_id"),
    sqlite_with_rowid=False,
)
static_event = Table(
    "static_event",
    metadata,
    Column("thing_id", BigInteger, nullable=False),  # the job's id, or the dataset's
    Column("event_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("thing_id", "event_id"),
    sqlite_with_rowid=False,
)

# The ``lineage`` facets (OpenLineage's explicit lineage) that a run's events carried: a union, never shrinking.
run_statement = Table(
    "run_statement",
    metadata,
    Column("run", BigInteger, nullable=False),  # run.id
    Column("dataset_id", BigInteger, nullable=False),  # the dataset that carried it; 0: the job did
    Column("body_id", BigInteger, nullable=False),  # facet_body.id
    PrimaryKeyConstraint("run", "dataset_id", "body_id"),
    sqlite_with_rowid=False,
)

# What the newest JobEvent of a job declares. Job 0: what DatasetEvents say; dataset 0: the job's own ``lineage``.
declared_dataset = Table(
    "declared_dataset",
    metadata,
    Column("job_id", BigInteger, nullable=False),
    Column("direction", SmallInteger, nullable=False),
    Column("dataset_id", BigInteger, nullable=False),
    Column("facets", Bytes, nullable=False),
    PrimaryKeyConstraint("job_id", "direction", "dataset_id"),
    Index(None, "dataset_id"),
    sqlite_with_rowid=False,
)

# Versions that no run made: one a DatasetEvent. ``key`` is the event's hash.
dataset_version = Table(
    "dataset_version",
    metadata,
    Column("dataset_id", BigInteger, nullable=False),
    Column("key", Bytes(16), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("version", Text),  # as in run_dataset
    Column("checksum", Text),
    Column("facets", Bytes, nullable=False),
    PrimaryKeyConstraint("dataset_id", "key"),
    Index(None, "dataset_id", "created_us"),
    sqlite_with_rowid=False,
)

# What JobEvents have declared of a job, each once; those that runs make are found from the runs.
job_version = Table(
    "job_version",
    metadata,
    Column("job_id", BigInteger, nullable=False),
    Column("key", Bytes(16), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("sides", Text, nullable=False),  # JSON: inputs, outputs, location
    PrimaryKeyConstraint("job_id", "key"),
    sqlite_with_rowid=False,
)

# What search looks through. SQLite's FTS5 index or PostgreSQL's trigrams lie on it (search_index.py).
search_text = Table(
    "search_text",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),  # the dataset's or the job's
    Column("is_job", Boolean, nullable=False),
    Column("name", Text, nullable=False),
    Column("words", Text, nullable=False),  # description, columns, tags
)

# A job's current inputs and outputs: what every graph query walks, both ways, by index alone. Ids are canonical.
edge = Table(
    "edge",
    metadata,
    Column("job_id", BigInteger, nullable=False),
    Column("direction", SmallInteger, nullable=False),
    Column("dataset_id", BigInteger, nullable=False),
    Column("column_body", BigInteger),  # facet_body.id of the columnLineage that ``column_edge`` was made from
    PrimaryKeyConstraint("job_id", "direction", "dataset_id"),
    Index("ix_edge_dataset", "dataset_id", "direction", "job_id"),
    sqlite_with_rowid=False,
)

# Column to column, from the columnLineage of each current output; job_id 0 = a DatasetEvent said so;
# a negative job_id = the ``lineage`` facet of job -job_id said so (-1: of a DatasetEvent).
# field '' = the dataset as a whole (the facet's ``dataset`` list).
column_edge = Table(
    "column_edge",
    metadata,
    Column("destination_id", BigInteger, nullable=False),
    Column("job_id", BigInteger, nullable=False),
    Column("destination_field", Text, nullable=False),
    Column("origin_id", BigInteger, nullable=False),
    Column("origin_field", Text, nullable=False),
    Column("transformations", Text, nullable=False),  # JSON list of {type, subtype, description, masking}
    PrimaryKeyConstraint("destination_id", "job_id", "destination_field", "origin_id", "origin_field"),
    Index(None, "origin_id", "origin_field"),
    Index(None, "job_id"),
    sqlite_with_rowid=False,
)

# Explicit lineage in force: what flows from where to where, as ``lineage`` facets state it. Ids are canonical.
stated_edge = Table(
    "stated_edge",
    metadata,
    Column("owner_id", BigInteger, nullable=False),  # the job whose run or JobEvent states it; 0: a DatasetEvent does
    Column("target_kind", SmallInteger, nullable=False),  # STATED_DATASET or STATED_JOB
    Column("target_id", BigInteger, nullable=False),
    Column("source_kind", SmallInteger, nullable=False),  # these, or STATED_NOTHING: "has no tracked source"
    Column("source_id", BigInteger, nullable=False),
    # whether the data flows with no job between: job to job, or dataset to dataset as a DatasetEvent states
    Column("is_direct", Boolean, nullable=False),
    PrimaryKeyConstraint("owner_id", "target_kind", "target_id", "source_kind", "source_id"),
    Index("ix_stated_target", "target_id", "target_kind"),
    Index("ix_stated_source", "source_id", "source_kind"),
    sqlite_with_rowid=False,
)

# Who owns a dataset or job now: its newest ``ownership`` facet, of a dataset under any of its names.
owner = Table(
    "owner",
    metadata,
    Column("thing_id", BigInteger, nullable=False),  # the job's id, or the dataset's canonical one
    Column("owner_id", BigInteger, nullable=False),  # of the name
    Column("type", Text, nullable=False),  # '': none was given
    Column("is_job", Boolean, nullable=False),
    Column("name", Text, nullable=False),
    PrimaryKeyConstraint("thing_id", "owner_id", "type"),
    Index(None, "name", "thing_id"),
    sqlite_with_rowid=False,
)

# The tags of a dataset, its columns, or a job now: the newest ``tags`` facet, and what was set by hand.
tagged = Table(
    "tagged",
    metadata,
    Column("thing_id", BigInteger, nullable=False),  # as in ``owner``
    Column("field", Text, nullable=False),  # '': the thing itself
    Column("tag_id", BigInteger, nullable=False),  # tag.id, whether or not there is such a row
    Column("is_job", Boolean, nullable=False),
    Column("name", Text, nullable=False),
    PrimaryKeyConstraint("thing_id", "field", "tag_id"),
    Index(None, "tag_id", "thing_id"),
    sqlite_with_rowid=False,
)

# What each run and each DatasetEvent found of each assertion on a dataset (``dataQualityAssertions``). Assertion 0: the
# facet was deleted, which ends all results until then.
assertion_result = Table(
    "assertion_result",
    metadata,
    Column("dataset_id", BigInteger, nullable=False),  # as named
    Column("assertion_id", BigInteger, nullable=False),  # of (assertion, name, field)
    Column("time_us", BigInteger, nullable=False),  # of the event that gave the facet
    Column("key", Bytes(16), nullable=False),  # run.run_key, or the DatasetEvent's hash
    Column("success", Boolean, nullable=False),
    Column("severity", Text),  # error | warn, as a rule
    PrimaryKeyConstraint("dataset_id", "assertion_id", "time_us", "key"),
    sqlite_with_rowid=False,
)

# Each assertion on a dataset with its newest result, its newest failure, and how many there were of each.
assertion = Table(
    "assertion",
    metadata,
    Column("dataset_id", BigInteger, nullable=False),
    Column("assertion_id", BigInteger, nullable=False),
    Column("assertion", Text, nullable=False),
    Column("name", Text, nullable=False),  # '': none was given
    Column("field", Text, nullable=False),  # '': it is about the whole dataset
    Column("success", Boolean, nullable=False),
    Column("severity", Text),
    Column("time_us", BigInteger, nullable=False),
    Column("key", Bytes(16), nullable=False),
    Column("results", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("failed_us", BigInteger),
    Column("failed_key", Bytes(16)),
    PrimaryKeyConstraint("dataset_id", "assertion_id"),
    Index("ix_assertion_failing", "dataset_id", **_where(FAILING)),
    sqlite_with_rowid=False,
)

# What a job waits for and what it starts (``jobDependencies``), as its newest run that carries the facet says. One row
# of direction TOLD_BY a job (other_id 0) says which run that is, and the rule for all that the job waits for.
job_dependency = Table(
    "job_dependency",
    metadata,
    Column("job_id", BigInteger, nullable=False),
    Column("direction", SmallInteger, nullable=False),
    Column("other_id", BigInteger, nullable=False),  # the other job
    Column("run", BigInteger, nullable=False),  # run.id
    Column("dependency_type", Text),
    Column("sequence_rule", Text),
    Column("status_rule", Text),
    PrimaryKeyConstraint("job_id", "direction", "other_id"),
    Index("ix_job_dependency_other", "other_id", "direction", "job_id"),
    sqlite_with_rowid=False,
)

facet_body = Table(
    "facet_body",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("hash", Bytes(16), nullable=False, unique=True),
    Column("body", Bytes, nullable=False),  # zstd of the raw JSON of one facet; each distinct body once
)

# Which of its numbered events each producer instance got through (``delivery.py``). Bit n of ``seen``, bytes in
# little-endian order, is the number block * 1024 + 1 + n; bits are only ever set.
delivery = Table(
    "delivery",
    metadata,
    Column("key", Bytes(24), primary_key=True),  # the instance's UUID, then the block as a big-endian number
    Column("seen", Bytes(128), nullable=False),
    Column("count", Integer, nullable=False),  # bits set
    Column("first_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("stamp", Bytes(16), nullable=False),  # of the newest event
    Column("job_id", BigInteger, nullable=False),  # its job
    sqlite_with_rowid=False,
)

# Numbers that an instance said it gave up on: a union, never shrinking.
delivery_drop = Table(
    "delivery_drop",
    metadata,
    Column("instance", Bytes(16), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("reason", String(16), nullable=False),
    PrimaryKeyConstraint("instance", "first", "last", "reason"),
    sqlite_with_rowid=False,
)

# One row per fact about the store itself: ``epoch`` moves when ids that a writer remembers stop being true.
store_fact = Table(
    "store_fact",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)


def is_written(use: FromClause) -> ColumnElement[bool]:
    """That a ``run_dataset`` row is a version of its dataset."""
    return use.c.written_us.is_not(None)


ARRIVED = (event, quarantine)
DERIVED = (
    namespace,
    source,
    tag,
    dataset,
    dataset_version,
    dataset_alias,
    job,
    job_version,
    run,
    run_dataset,
    run_statement,
    run_event,
    static_event,
    job_dataset,
    declared_dataset,
    edge,
    column_edge,
    stated_edge,
    search_text,
    owner,
    tagged,
    assertion,
    assertion_result,
    job_dependency,
    facet_body,
)

# Derived too, but a rebuild merges into these and never empties them: what a prune deleted did arrive.
REMEMBERED = (delivery, delivery_drop)
