"""Which upstream columns a column is made from, where that can be known: from SQL, and from declared mappings."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emitter.errors import did_you_mean

if TYPE_CHECKING:
    from emitter.assets import Asset
    from emitter.schema import Field

log = logging.getLogger(__name__)


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
    for column, origins in asset.columns.items():
        for name, field in origins:
            names = [one.name for one in upstream.get(name, ())]
            if names and field not in names:
                hint = did_you_mean(field, names) or f"; its columns are {', '.join(names[:12])}"
                log.warning(
                    "asset '%s' says that its column '%s' is made from %s.%s, but there is no such column%s",
                    asset.name,
                    column,
                    name,
                    field,
                    hint,
                )
    declared = {
        column: tuple(ColumnOrigin(name, field) for name, field in origins) for column, origins in asset.columns.items()
    }
    return found | declared
