"""An index of the events that are not of runs, by time, in the place of one of our own records.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OTHERS = "kind <> 'run'"
_RECORDS = "kind IN ('namespace', 'source', 'tag')"


def upgrade() -> None:
    """Change the index; no row changes."""
    op.drop_index("ix_event_record", "event")
    op.create_index(
        "ix_event_other",
        "event",
        ["time_us", "kind"],
        unique=False,
        sqlite_where=sa.text(_OTHERS),
        postgresql_where=sa.text(_OTHERS),
    )


def downgrade() -> None:
    """Change it back."""
    op.drop_index("ix_event_other", "event")
    op.create_index(
        "ix_event_record",
        "event",
        ["time_us"],
        unique=False,
        sqlite_where=sa.text(_RECORDS),
        postgresql_where=sa.text(_RECORDS),
    )
