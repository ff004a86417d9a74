"""Which upstream columns a column is made from, where that can be known: from SQL, and from declared mappings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emitter.assets import Asset
    from emitter.schema import Field


@dataclass(frozen=True, slots=True, order=True)
class ColumnOrigin:
    """A column of an upstream asset, and how it is used, in the words of OpenLineage's columnLineage facet.

    `type` is DIRECT or INDIRECT; `subtype` IDENTITY, TRANSFORMATION or AGGREGATION, or JOIN, FILTER, GROUP_BY, SORT, …
    """

    asset: str
    column: str
    type: str | None = None
    subtype: str | None = None


#: The origins of each column; under WHOLE those of which the rows depend.
ColumnLineage = dict[str, tuple[ColumnOrigin, ...]]
WHOLE = ""


def column_lineage(asset: Asset, upstream: Mapping[str, Sequence[Field]]) -> ColumnLineage:
    """The column lineage of an asset, empty where nothing is known; `upstream` has the fields of what it is made from.

    What is declared stands over what the SQL says. SQL that sqlglot cannot follow gives nothing.
    """
    found: ColumnLineage = {}
    if asset.sql is not None:
        from emitter.sql_lineage import lineage_of_sql  # it is there: the asset was declared with it

        found = lineage_of_sql(
            asset.sql, asset.dialect, {name: [one.name for one in upstream[name]] for name in upstream}
        )
    declared = {
        column: tuple(ColumnOrigin(name, field) for name, field in origins) for column, origins in asset.columns.items()
    }
    return found | declared
