"""Looking at what is there: sources, which others make, and checks that time alone can break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from emitter.assets import Asset
from emitter.checks import CheckResult
from emitter.errors import ChecksFailed, OutputMissing
from emitter.io import FileIO
from emitter.io.protocol import stored_of
from emitter.making import checks_version
from emitter.metadata import Materialization
from emitter.runs import RunIdentity, now
from emitter.schema import schema_of
from emitter.sources import is_readable
from emitter.tables import row_count

#: What a version is of where only its declaration is known.
DECLARED = "declared"


@dataclass(frozen=True, slots=True)
class Seen:
    """A source as it is: its version, why it counts as a new one (None if it does not), its value if that was read."""

    version: Materialization
    reason: str | None
    value: Any = None


def observe(
    source: Asset,
    last: Materialization | None,
    run: RunIdentity,
    *,
    read: bool,
    needed: Callable[[str], Any],
) -> Seen:
    """Look at a source. A new content is read where someone will need it (`read`) or checks look at it.

    Raises OutputMissing where nothing is there, ChecksFailed where a blocking check does not hold.
    """
    stored = stored_of(source) if is_readable(source) else None
    if is_readable(source) and stored is None:
        name = source.io.dataset(source) if hasattr(source.io, "dataset") else None
        raise OutputMissing(f"the source '{source.name}' is not there{f': nothing is at {name.name}' if name else ''}")
    checksum = stored.checksum if stored else f"{DECLARED}:{source.version}"
    reason = _news(source, last, checksum)
    if reason is None and last is not None:
        return Seen(recheck(source, last, needed), None)
    value = source.io.load(source) if stored and (read or source.checks) else None
    checks = _checked(source, value, needed)
    moment = now()
    version = Materialization(
        namespace=run.namespace,
        asset=source.name,
        run_id=run.run_id,
        version=source.version,
        code_version=source.code_version,
        checks_version=checks_version(source),
        checksum=checksum,
        hashed=DECLARED if stored is None else "file" if isinstance(source.io, FileIO) else "object",
        stored_checksum=checksum,
        reason=reason or "",
        created_at=moment,
        updated_at=moment,
        rows=row_count(value),
        bytes=stored.size if stored else None,
        checks=checks,
        fields=schema_of(value) if value is not None else (),
    )
    return Seen(version, reason, value)


def recheck(asset: Asset, version: Materialization, needed: Callable[[str], Any]) -> Materialization:
    """The version with the checks that are timed looked at again: they may cease to hold although nothing changed.

    Raises ChecksFailed where a blocking one does not hold any more.
    """
    timed = [one for one in asset.checks if one.timed]
    if not timed:
        return version
    value = asset.io.load(asset)
    found = {one.name: one.run(value, {one.needs: needed(one.needs)} if one.needs else None) for one in timed}
    checks = tuple(found.get(one.name, one) for one in version.checks)
    _refuse(asset, tuple(found.values()), checks)
    return replace(version, checks=checks)


def _news(source: Asset, last: Materialization | None, checksum: str) -> str | None:
    if last is None:
        return "first seen"
    if last.version != source.version:
        return f"version changed {last.version} → {source.version}"
    if last.checksum != checksum:
        return "its content changed"
    return "checks changed" if last.checks_version != checks_version(source) else None


def _checked(source: Asset, value: Any, needed: Callable[[str], Any]) -> tuple[CheckResult, ...]:
    checks = tuple(one.run(value, {one.needs: needed(one.needs)} if one.needs else None) for one in source.checks)
    _refuse(source, checks, checks)
    return checks


def _refuse(asset: Asset, looked_at: tuple[CheckResult, ...], all_of_them: tuple[CheckResult, ...]) -> None:
    stopping = [one for one in looked_at if not one.success and one.blocking and one.severity == "error"]
    if stopping:
        told = "; ".join(f"{one.name}: {one.message}" for one in stopping)
        what = "source" if asset.is_source else "stored output of"
        raise ChecksFailed(f"the {what} '{asset.name}' is not as it must be: {told}", all_of_them)
