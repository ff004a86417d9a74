"""The tables, as SQLAlchemy Core: one definition for SQLite and PostgreSQL.

``event`` and ``quarantine`` hold what arrived. Every other table is derived from ``event`` by merges that commute
(minimum, maximum, union, latest by stamp) and can be rebuilt from it at any time.

Times are microseconds since 1970 UTC. A namespace's, dataset's or job's id is a hash of its name (``keys.py``), so that
two collectors, or a rebuild, give the same thing the same id without asking the database. A *stamp* is 16 bytes that
sort by (event time, content hash). A *facet set* is a msgpack map of ``name: [time_us, tie, body_id]``.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
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

# --- what arrived ----------------------------------------------------------------------------------------------------

event = Table(
    "event",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),  # commit order
    Column("hash", Bytes(16), nullable=False),  # of the raw body: the same body counts once
    Column("kind", String(8), nullable=False),  # run | job | dataset
    Column("event_type", String(8)),  # START RUNNING COMPLETE ABORT FAIL OTHER, run events only
    Column("time_us", BigInteger, nullable=False),  # eventTime
    Column("received_us", BigInteger, nullable=False),
    Column("raw_size", Integer, nullable=False),  # bytes of the raw JSON
    Column("body", Bytes, nullable=False),  # zstd of the raw JSON
    # one index for both questions, "events by time" and "seen before?": new events land side by side in it
    Index("uq_event_time_hash", "time_us", "hash", unique=True),
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

namespace = Table(
    "namespace",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, index=True),
)

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
    Column("facets", Bytes, nullable=False),
    Index(None, "namespace_id", "name"),
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
    Column("facets", Bytes, nullable=False),
    Index(None, "namespace_id", "name"),
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
    Column("nominal_start", Text),
    Column("nominal_end", Text),
    Column("parent_key", Bytes(16)),  # run_key of the parent run
    Column("root_key", Bytes(16)),
    Column("has_inputs", Boolean, nullable=False),
    Column("has_outputs", Boolean, nullable=False),
    Column("facets", Bytes, nullable=False),
    Index("ix_run_newest", "job_id", "created_us", "run_key"),
    Index("ix_run_parent", "parent_key", sqlite_where=text("parent_key IS NOT NULL")),
)

# What a run read and wrote: a union over its events. An OUTPUT row is a dataset version.
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
    Column("facets", Bytes, nullable=False),  # dataset facets; those of inputFacets and outputFacets as "~name"
    PrimaryKeyConstraint("run", "direction", "dataset_id"),
    Index(None, "dataset_id", "direction", "first_us"),
    sqlite_with_rowid=False,
)

# What the newest JobEvent of a job declares.
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

# Column to column, from the columnLineage of each current output; job_id 0 = a DatasetEvent said so.
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

facet_body = Table(
    "facet_body",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("hash", Bytes(16), nullable=False, unique=True),
    Column("body", Bytes, nullable=False),  # zstd of the raw JSON of one facet; each distinct body once
)

# One row per fact about the store itself: ``epoch`` moves when ids that a writer remembers stop being true.
store_fact = Table(
    "store_fact",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

ARRIVED = (event, quarantine)
DERIVED = (
    namespace,
    dataset,
    dataset_alias,
    job,
    run,
    run_dataset,
    declared_dataset,
    edge,
    column_edge,
    facet_body,
)
