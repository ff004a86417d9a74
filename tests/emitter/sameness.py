"""What two runs of one pipeline must have in common: all but ids, times and the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_EACH_ITS_OWN = {"runId", "eventTime", "createdAt", "updatedAt", "stackTrace", "sourceCodeLocation"}


def comparable_results(results: Any) -> dict[str, Any]:
    """The results as plain values."""
    return {
        name: {
            "status": str(one.status),
            "reason": one.reason,
            "version": one.version,
            "code": one.code_version,
            "checksum": one.checksum,
            "rows": one.rows,
            "bytes": one.bytes,
            "lineage": dict(one.lineage),
            "checks": [(check.name, check.success, check.message) for check in one.checks],
            "error": repr(one.error) if one.error else None,
        }
        for name, one in sorted(results.items())
    }


def comparable_events(events: list[dict[str, Any]], folder: Path) -> list[str]:
    """The events as sorted texts: engines that run several assets at once tell of them in another order."""
    return sorted(json.dumps(_without(event), sort_keys=True).replace(str(folder), "FOLDER") for event in events)


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(one) for key, one in value.items() if key not in _EACH_ITS_OWN}
    return [_without(one) for one in value] if isinstance(value, list) else value
