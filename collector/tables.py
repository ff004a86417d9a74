"""The tables, as SQLAlchemy Core: one definition for SQLite and PostgreSQL.

``event`` and ``quarantine`` hold what arrived; every other table is derived from ``event`` by commutative merges
(minimum, maximum, union, latest by (time, hash)) and can be rebuilt from it. Times are microseconds since 1970 UTC.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives rowid speed only to a column declared exactly INTEGER PRIMARY KEY.
Id = BigInteger().with_variant(Integer(), "sqlite")

INPUT, OUTPUT = 0, 1  # values of the ``direction`` columns

event = Table(
    "event",
    metadata,
    Column("id", Id, primary_key=True),  # commit order
    Column("hash", LargeBinary(16), nullable=False, unique=True),  # blake3 of the raw body: the same body counts once
    Column("kind", String(8), nullable=False),  # run | job | dataset
    Column("time_us", BigInteger, nullable=False, index=True),  # eventTime
    Column("received_us", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # zstd of the raw JSON
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Id, primary_key=True),
    Column("hash", LargeBinary(16), nullable=False, unique=True),
    Column("received_us", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),  # JSON: {field path: [message, …]}
    Column("body", LargeBinary, nullable=False),  # zstd of what was sent
)

namespace = Table(
    "namespace",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_us", BigInteger, nullable=False),  # min eventTime
    Column("updated_us", BigInteger, nullable=False),  # max eventTime
)

dataset = Table(
    "dataset",
    metadata,
    Column("id", Id, primary_key=True),
    Column("namespace_id", ForeignKey("namespace.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    UniqueConstraint("namespace_id", "name"),
)

job = Table(
    "job",
    metadata,
    Column("id", Id, primary_key=True),
    Column("namespace_id", ForeignKey("namespace.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Column("declared_key", Text),  # "{time_us:020d}{hash hex}" of the newest JobEvent, else NULL
    UniqueConstraint("namespace_id", "name"),
)

run = Table(
    "run",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_id", Text, nullable=False, unique=True),  # as the producer sent it; need not be a UUID
    Column("job_id", ForeignKey("job.id")),  # NULL: known only as somebody's parent
    Column("job_key", Text),  # newest (time, hash) that named the job
    Column("state", String(10), nullable=False),  # NEW RUNNING COMPLETED FAILED ABORTED
    Column("state_key", Text, nullable=False),  # "{terminal 0|1}{time_us:020d}{hash hex}": the greatest wins
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Column("started_us", BigInteger),  # min START/RUNNING event time
    Column("ended_us", BigInteger),  # time of the event that gave a terminal state
    Column("nominal_start", Text),
    Column("nominal_end", Text),
    Column("parent_run_id", Text),  # the parent's run id as sent: it may arrive later or never
    Index(None, "job_id", "created_us"),
)

# Every dataset that a run was seen to read or write: a union, never shrinking.
run_dataset = Table(
    "run_dataset",
    metadata,
    Column("run_pk", ForeignKey("run.id"), nullable=False),
    Column("dataset_id", ForeignKey("dataset.id"), nullable=False),
    Column("direction", SmallInteger, nullable=False),  # INPUT or OUTPUT
    PrimaryKeyConstraint("run_pk", "direction", "dataset_id"),
    Index(None, "dataset_id", "direction"),
)

# What the newest JobEvent of a job declares.
declared_dataset = Table(
    "declared_dataset",
    metadata,
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("dataset_id", ForeignKey("dataset.id"), nullable=False),
    Column("direction", SmallInteger, nullable=False),
    PrimaryKeyConstraint("job_id", "direction", "dataset_id"),
)

# A job's current inputs and outputs: the edges that every graph query walks, both ways, by index alone.
edge = Table(
    "edge",
    metadata,
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("dataset_id", ForeignKey("dataset.id"), nullable=False),
    Column("direction", SmallInteger, nullable=False),
    PrimaryKeyConstraint("job_id", "direction", "dataset_id"),
    Index("ix_edge_dataset", "dataset_id", "direction", "job_id"),
    sqlite_with_rowid=False,
)

# Column to column, from columnLineage facets; replaced by the newest facet of the destination dataset.
# origin_field/destination_field '' = the dataset as a whole (the facet's ``dataset`` list).
column_edge = Table(
    "column_edge",
    metadata,
    Column("origin_id", ForeignKey("dataset.id"), nullable=False),
    Column("origin_field", Text, nullable=False),
    Column("destination_id", ForeignKey("dataset.id"), nullable=False),
    Column("destination_field", Text, nullable=False),
    Column("transformations", Text, nullable=False),  # JSON list of {type, subtype, description, masking}
    PrimaryKeyConstraint("destination_id", "destination_field", "origin_id", "origin_field"),
    Index(None, "origin_id", "origin_field"),
)

# One row per (dataset, run that wrote it).
dataset_version = Table(
    "dataset_version",
    metadata,
    Column("dataset_id", ForeignKey("dataset.id"), nullable=False),
    Column("run_pk", ForeignKey("run.id"), nullable=False),
    Column("created_us", BigInteger, nullable=False),  # min event time at which the run wrote it
    Column("version", Text),  # ``version`` facet (datasetVersion), newest by (time, hash)
    Column("checksum", Text),  # "algorithm:value" from headwater_checksum
    Column("code_version", Text),  # headwater_assetVersion.codeVersion
    Column("facts_key", Text, nullable=False),  # newest (time, hash) that gave version/checksum/code version
    PrimaryKeyConstraint("dataset_id", "run_pk"),
)

facet_body = Table(
    "facet_body",
    metadata,
    Column("id", Id, primary_key=True),
    Column("hash", LargeBinary(16), nullable=False, unique=True),
    Column("body", LargeBinary, nullable=False),  # raw JSON of one facet, each distinct body once
)

# The newest facet of each name, by (time, hash). entity: dataset | job | run | input | output.
# entity_id is the dataset, job or run; run_pk is the run for input and output facets, else 0.
facet = Table(
    "facet",
    metadata,
    Column("entity", String(8), nullable=False),
    Column("entity_id", BigInteger, nullable=False),
    Column("run_pk", BigInteger, nullable=False, default=0),
    Column("name", Text, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("body_id", ForeignKey("facet_body.id"), nullable=False),
    Column("body_hash", LargeBinary(16), nullable=False),
    PrimaryKeyConstraint("entity", "entity_id", "run_pk", "name"),
)
