"""Owners, tags, assertions and dependencies between jobs, as rows of their own; the state of each job's newest run;
versions of one name in their order; how much each run read and wrote.

What is stored already has them in its events, so it is made anew from these: ``store.engines.upgrade`` does so in the
same transaction, for the fact that this leaves.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and ask for a rebuild."""
    op.create_table(
        "owner",
        sa.Column("thing_id", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("is_job", sa.Boolean(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("thing_id", "owner_id", "type", name=op.f("pk_owner")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_owner_name_thing_id"), "owner", ["name", "thing_id"], unique=False)
    op.create_table(
        "tagged",
        sa.Column("thing_id", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("tag_id", sa.BigInteger(), nullable=False),
        sa.Column("is_job", sa.Boolean(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("thing_id", "field", "tag_id", name=op.f("pk_tagged")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_tagged_tag_id_thing_id"), "tagged", ["tag_id", "thing_id"], unique=False)
    op.create_table(
        "assertion_result",
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("assertion_id", sa.BigInteger(), nullable=False),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("dataset_id", "assertion_id", "time_us", "key", name=op.f("pk_assertion_result")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "assertion",
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("assertion_id", sa.BigInteger(), nullable=False),
        sa.Column("assertion", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("results", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_us", sa.BigInteger(), nullable=True),
        sa.Column("failed_key", sa.LargeBinary(length=16), nullable=True),
        sa.PrimaryKeyConstraint("dataset_id", "assertion_id", name=op.f("pk_assertion")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_assertion_failing",
        "assertion",
        ["dataset_id"],
        unique=False,
        sqlite_where=sa.text("NOT success"),
        postgresql_where=sa.text("NOT success"),
    )
    op.create_table(
        "job_dependency",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.SmallInteger(), nullable=False),
        sa.Column("other_id", sa.BigInteger(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("dependency_type", sa.Text(), nullable=True),
        sa.Column("sequence_rule", sa.Text(), nullable=True),
        sa.Column("status_rule", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "direction", "other_id", name=op.f("pk_job_dependency")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_job_dependency_other", "job_dependency", ["other_id", "direction", "job_id"], unique=False)
    op.add_column("job", sa.Column("latest_state", sa.String(length=9), nullable=True))
    op.drop_index("ix_job_namespace_id_name_id", "job")
    op.drop_index("ix_job_name", "job")
    op.create_index("ix_job_listed", "job", ["namespace_id", "name", "id", "latest_state"], unique=False)
    op.create_index("ix_job_named", "job", ["name", "id", "latest_state"], unique=False)
    _index_names(["written_us"])
    op.add_column("run_dataset", sa.Column("measured", sa.SmallInteger(), nullable=True))
    for name in ("row_count", "size", "file_count"):
        op.add_column("run_dataset", sa.Column(name, sa.BigInteger(), nullable=True))
    measured = sa.text("measured > 0 AND direction = 0")
    op.create_index(
        "ix_run_dataset_measured",
        "run_dataset",
        ["dataset_id", "first_us"],
        sqlite_where=measured,
        postgresql_where=measured,
    )
    op.execute("INSERT INTO store_fact (name, value) VALUES ('rebuild', 1) ON CONFLICT (name) DO NOTHING")


def downgrade() -> None:
    """Drop the tables; all that is in them can be made again."""
    op.drop_index("ix_run_dataset_measured", "run_dataset")
    for name in ("measured", "row_count", "size", "file_count"):
        op.drop_column("run_dataset", name)
    _index_names([])
    op.drop_index("ix_job_listed", "job")
    op.drop_index("ix_job_named", "job")
    op.drop_column("job", "latest_state")
    op.create_index(op.f("ix_job_namespace_id_name_id"), "job", ["namespace_id", "name", "id"], unique=False)
    op.create_index("ix_job_name", "job", ["name", "id"], unique=False)
    for table in ("job_dependency", "assertion", "assertion_result", "tagged", "owner"):
        op.drop_table(table)


def _index_names(further: list[str]) -> None:
    """Have versions and checksums indexed, those of one name by ``further``."""
    for word in ("version", "checksum"):
        name, key = f"ix_run_dataset_{word}", f"{word}_key"
        there = sa.text(f"{key} IS NOT NULL")
        op.drop_index(name, "run_dataset")
        op.create_index(name, "run_dataset", ["dataset_id", key, *further], sqlite_where=there, postgresql_where=there)
