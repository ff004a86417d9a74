"""Events that real producers sent: dbt's, Spark's, and whatever else a folder beside the project holds."""

from __future__ import annotations

import os
from pathlib import Path

_HERE = Path(__file__).parent
DBT = _HERE.parent / "e2e" / "dbt_events.ndjson"
SPARK = _HERE / "producers"
#: A folder with more of them as ``.json`` files, one event each, at any depth; need not be there.
MORE = Path(os.environ.get("HEADWATER_EVENTS", _HERE.parents[2] / "shared" / "reference" / "events"))


def real_events() -> dict[str, bytes]:
    """Every event that is at hand, by a name to know it by."""
    lines = DBT.read_bytes().splitlines()
    found = {f"dbt-{number}": line for number, line in enumerate(lines, 1)}
    found |= {f"spark-{path.stem}": path.read_bytes() for path in sorted(SPARK.glob("*.json"))}
    more = (path for path in sorted(MORE.rglob("*.json")) if path.parent.name == "events")
    return found | {f"{path.parts[-3]}-{path.stem}": path.read_bytes() for path in more}
