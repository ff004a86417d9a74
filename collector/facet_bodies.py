"""The bodies of facets, as a commit asks for them by their ids."""

from __future__ import annotations

from collections.abc import Collection

from collector import tables
from collector.packing import decompress
from collector.store.rows import Rows


def load_bodies(rows: Rows, ids: Collection[int]) -> dict[int, bytes]:
    """The raw JSON of facets by ``facet_body.id``: one statement."""
    found = rows.load(tables.facet_body, "id", ids, ("id", "body"))
    return {one: decompress(body) for one, body in found}
