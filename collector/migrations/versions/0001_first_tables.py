"""The tables of the first release.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "column_edge",
        sa.Column("destination_id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("destination_field", sa.Text(), nullable=False),
        sa.Column("origin_id", sa.BigInteger(), nullable=False),
        sa.Column("origin_field", sa.Text(), nullable=False),
        sa.Column("transformations", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "destination_id", "job_id", "destination_field", "origin_id", "origin_field", name=op.f("pk_column_edge")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_column_edge_job_id"), "column_edge", ["job_id"], unique=False)
    op.create_index(
        op.f("ix_column_edge_origin_id_origin_field"), "column_edge", ["origin_id", "origin_field"], unique=False
    )
    op.create_table(
        "dataset",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.Column("canonical_id", sa.BigInteger(), nullable=False),
        sa.Column("lifecycle", sa.String(length=16), nullable=True),
        sa.Column("hidden_us", sa.BigInteger(), nullable=True),
        sa.Column("facets", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset")),
    )
    op.create_index(op.f("ix_dataset_canonical_id"), "dataset", ["canonical_id"], unique=False)
    op.create_index(op.f("ix_dataset_namespace_id_name_id"), "dataset", ["namespace_id", "name", "id"], unique=False)
    op.create_index(
        "ix_dataset_unlisted",
        "dataset",
        ["namespace_id"],
        unique=False,
        sqlite_where=sa.text("hidden_us IS NOT NULL OR canonical_id <> id OR lifecycle = 'DROP'"),
        postgresql_where=sa.text("hidden_us IS NOT NULL OR canonical_id <> id OR lifecycle = 'DROP'"),
    )
    op.create_table(
        "dataset_alias",
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("alias_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "alias_id", name=op.f("pk_dataset_alias")),
    )
    op.create_index(op.f("ix_dataset_alias_alias_id"), "dataset_alias", ["alias_id"], unique=False)
    op.create_table(
        "dataset_version",
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("checksum", sa.Text(), nullable=True),
        sa.Column("facets", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "key", name=op.f("pk_dataset_version")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_dataset_version_dataset_id_created_us"), "dataset_version", ["dataset_id", "created_us"], unique=False
    )
    op.create_table(
        "declared_dataset",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.SmallInteger(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("facets", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "direction", "dataset_id", name=op.f("pk_declared_dataset")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_declared_dataset_dataset_id"), "declared_dataset", ["dataset_id"], unique=False)
    op.create_table(
        "delivery",
        sa.Column("key", sa.LargeBinary(length=24), nullable=False),
        sa.Column("seen", sa.LargeBinary(length=128), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.LargeBinary(length=16), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_delivery")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "delivery_drop",
        sa.Column("instance", sa.LargeBinary(length=16), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("instance", "first", "last", "reason", name=op.f("pk_delivery_drop")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "edge",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.SmallInteger(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("column_body", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "direction", "dataset_id", name=op.f("pk_edge")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_edge_dataset", "edge", ["dataset_id", "direction", "job_id"], unique=False)
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.String(length=9), nullable=False),
        sa.Column("event_type", sa.String(length=8), nullable=True),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("raw_size", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index(
        "ix_event_record",
        "event",
        ["time_us"],
        unique=False,
        sqlite_where=sa.text("kind IN ('namespace', 'source', 'tag')"),
        postgresql_where=sa.text("kind IN ('namespace', 'source', 'tag')"),
    )
    op.create_index("uq_event_time_hash", "event", ["time_us", "hash"], unique=True)
    op.create_table(
        "facet_body",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_facet_body")),
        sa.UniqueConstraint("hash", name=op.f("uq_facet_body_hash")),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("namespace_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("parent_stamp", sa.LargeBinary(length=16), nullable=True),
        sa.Column("declared_stamp", sa.LargeBinary(length=16), nullable=True),
        sa.Column("latest_run", sa.BigInteger(), nullable=True),
        sa.Column("input_run", sa.BigInteger(), nullable=True),
        sa.Column("output_run", sa.BigInteger(), nullable=True),
        sa.Column("statement_run", sa.BigInteger(), nullable=True),
        sa.Column("hidden_us", sa.BigInteger(), nullable=True),
        sa.Column("facets", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index("ix_job_name", "job", ["name", "id"], unique=False)
    op.create_index(op.f("ix_job_namespace_id_name_id"), "job", ["namespace_id", "name", "id"], unique=False)
    op.create_index(op.f("ix_job_parent_id"), "job", ["parent_id"], unique=False)
    op.create_index(
        "ix_job_unlisted",
        "job",
        ["namespace_id"],
        unique=False,
        sqlite_where=sa.text("hidden_us IS NOT NULL"),
        postgresql_where=sa.text("hidden_us IS NOT NULL"),
    )
    op.create_table(
        "job_dataset",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.SmallInteger(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "direction", "dataset_id", name=op.f("pk_job_dataset")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_job_dataset_dataset", "job_dataset", ["dataset_id", "direction", "job_id"], unique=False)
    op.create_table(
        "job_version",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("sides", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "key", name=op.f("pk_job_version")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "namespace",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.LargeBinary(length=17), nullable=True),
        sa.Column("record", sa.Text(), nullable=True),
        sa.Column("hidden_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_namespace")),
    )
    op.create_index(op.f("ix_namespace_name"), "namespace", ["name"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("hash", name=op.f("uq_quarantine_hash")),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("run_key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("job_stamp", sa.LargeBinary(length=17), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("state_stamp", sa.LargeBinary(length=17), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=True),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("completed_us", sa.BigInteger(), nullable=True),
        sa.Column("nominal_start", sa.Text(), nullable=True),
        sa.Column("nominal_end", sa.Text(), nullable=True),
        sa.Column("parent_key", sa.LargeBinary(length=16), nullable=True),
        sa.Column("root_key", sa.LargeBinary(length=16), nullable=True),
        sa.Column("has_inputs", sa.Boolean(), nullable=False),
        sa.Column("has_outputs", sa.Boolean(), nullable=False),
        sa.Column("has_statements", sa.Boolean(), nullable=False),
        sa.Column("facets", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("run_key", name=op.f("uq_run_run_key")),
    )
    op.create_index(
        "ix_run_late",
        "run",
        ["job_id", "started_us"],
        unique=False,
        sqlite_where=sa.text("started_us > created_us"),
        postgresql_where=sa.text("started_us > created_us"),
    )
    op.create_index("ix_run_newest", "run", ["job_id", "created_us", "run_key"], unique=False)
    op.create_index(
        "ix_run_parent",
        "run",
        ["parent_key"],
        unique=False,
        sqlite_where=sa.text("parent_key IS NOT NULL"),
        postgresql_where=sa.text("parent_key IS NOT NULL"),
    )
    op.create_table(
        "run_dataset",
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.SmallInteger(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("checksum", sa.Text(), nullable=True),
        sa.Column("code_version", sa.Text(), nullable=True),
        sa.Column("written_us", sa.BigInteger(), nullable=True),
        sa.Column("version_key", sa.BigInteger(), nullable=True),
        sa.Column("checksum_key", sa.BigInteger(), nullable=True),
        sa.Column("facets", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run", "direction", "dataset_id", name=op.f("pk_run_dataset")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_run_dataset_checksum",
        "run_dataset",
        ["dataset_id", "checksum_key"],
        unique=False,
        sqlite_where=sa.text("checksum_key IS NOT NULL"),
        postgresql_where=sa.text("checksum_key IS NOT NULL"),
    )
    op.create_index(
        "ix_run_dataset_version",
        "run_dataset",
        ["dataset_id", "version_key"],
        unique=False,
        sqlite_where=sa.text("version_key IS NOT NULL"),
        postgresql_where=sa.text("version_key IS NOT NULL"),
    )
    op.create_index(
        "ix_run_dataset_written",
        "run_dataset",
        ["dataset_id", "written_us"],
        unique=False,
        sqlite_where=sa.text("written_us IS NOT NULL"),
        postgresql_where=sa.text("written_us IS NOT NULL"),
    )
    op.create_table(
        "run_event",
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run", "event_id", name=op.f("pk_run_event")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_statement",
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("body_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run", "dataset_id", "body_id", name=op.f("pk_run_statement")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_text",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("is_job", sa.Boolean(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_text")),
    )
    op.create_table(
        "source",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.LargeBinary(length=17), nullable=True),
        sa.Column("record", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source")),
    )
    op.create_index(op.f("ix_source_name"), "source", ["name"], unique=False)
    op.create_table(
        "stated_edge",
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("target_kind", sa.SmallInteger(), nullable=False),
        sa.Column("target_id", sa.BigInteger(), nullable=False),
        sa.Column("source_kind", sa.SmallInteger(), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("is_direct", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "owner_id", "target_kind", "target_id", "source_kind", "source_id", name=op.f("pk_stated_edge")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_stated_source", "stated_edge", ["source_id", "source_kind"], unique=False)
    op.create_index("ix_stated_target", "stated_edge", ["target_id", "target_kind"], unique=False)
    op.create_table(
        "static_event",
        sa.Column("thing_id", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("thing_id", "event_id", name=op.f("pk_static_event")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "store_fact",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_store_fact")),
    )
    op.create_table(
        "tag",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.LargeBinary(length=17), nullable=True),
        sa.Column("record", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag")),
    )
    op.create_index(op.f("ix_tag_name"), "tag", ["name"], unique=False)


def downgrade() -> None:
    """Drop every table."""
    op.drop_table("store_fact")
    op.drop_table("delivery_drop")
    op.drop_table("delivery")
    op.drop_table("facet_body")
    op.drop_table("stated_edge")
    op.drop_table("column_edge")
    op.drop_table("edge")
    op.drop_table("search_text")
    op.drop_table("job_version")
    op.drop_table("dataset_version")
    op.drop_table("declared_dataset")
    op.drop_table("run_statement")
    op.drop_table("static_event")
    op.drop_table("run_event")
    op.drop_table("job_dataset")
    op.drop_table("run_dataset")
    op.drop_table("run")
    op.drop_table("job")
    op.drop_table("dataset_alias")
    op.drop_table("dataset")
    op.drop_table("tag")
    op.drop_table("source")
    op.drop_table("namespace")
    op.drop_table("quarantine")
    op.drop_table("event")
