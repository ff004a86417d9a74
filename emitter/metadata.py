"""The metadata store: what was materialized, when, from what, kept in one SQLite file.

A new process knows from it what the last one did. Several processes may share it (WAL, waiting for each other's
writes); every write is one transaction. A damaged store is refused, never replaced.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from emitter.checks import CheckResult
from emitter.column_lineage import ColumnLineage, ColumnOrigin
from emitter.errors import MetadataStoreCorrupt, MetadataStoreError
from emitter.results import UpstreamVersion
from emitter.schema import Field

DEFAULT_PATH = Path(".headwater/metadata.db")

#: "HdWt": how the file says whose it is.
_APPLICATION_ID = 0x48645774
_SCHEMA_VERSION = 2
_BUSY_SECONDS = 30
_KEY_BYTES = 32
_SCHEMA = """
CREATE TABLE materializations (
    id INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    asset TEXT NOT NULL,
    run_id TEXT NOT NULL,
    version TEXT NOT NULL,
    code_version TEXT NOT NULL,
    checks_version TEXT NOT NULL,
    checksum TEXT NOT NULL,
    previous_checksum TEXT,
    hashed TEXT NOT NULL,
    stored_checksum TEXT NOT NULL,
    rows INTEGER,
    bytes INTEGER,
    reason TEXT NOT NULL,
    duration REAL NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    lineage TEXT NOT NULL,
    checks TEXT NOT NULL,
    fields TEXT NOT NULL
) STRICT;
CREATE INDEX materializations_by_asset ON materializations (namespace, asset, id);
"""
#: What came with each later version of the schema.
_UPGRADES = {
    2: """
ALTER TABLE materializations ADD COLUMN config TEXT NOT NULL DEFAULT '{}';
ALTER TABLE materializations ADD COLUMN config_version TEXT NOT NULL DEFAULT '';
ALTER TABLE materializations ADD COLUMN columns TEXT NOT NULL DEFAULT '{}';
ALTER TABLE materializations ADD COLUMN pipeline TEXT;
CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
INSERT INTO settings VALUES ('key', randomblob(32));
"""
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Materialization:
    """One time that an asset's output was made and stored.

    `checksum` is the data version; `stored_checksum` is of the bytes as they were stored, by which a change on disk is
    noticed; `hashed` says what `checksum` is of. `created_at` is the asset's first materialization, `updated_at` this
    one; `bytes` is the stored size and `duration` is in seconds. `previous_checksum` is the data version before.
    `config` shows the config that it was made with, secrets hidden, and `config_version` changes with any of it;
    `columns` is the column lineage; `pipeline` is the file of the pipeline, where it is known.
    """

    namespace: str
    asset: str
    run_id: str
    version: str
    code_version: str
    checks_version: str
    checksum: str
    hashed: str
    stored_checksum: str
    reason: str
    updated_at: datetime
    created_at: datetime
    previous_checksum: str | None = None
    rows: int | None = None
    bytes: int | None = None
    duration: float = 0.0
    lineage: dict[str, UpstreamVersion] = field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()
    fields: tuple[Field, ...] = ()
    config: dict[str, str] = field(default_factory=dict)
    config_version: str = ""
    columns: ColumnLineage = field(default_factory=dict)
    pipeline: str | None = None


class MetadataStore:
    """The store in one file, made with its directory if it is not there.

    Usable from several threads and processes at once; close it, or use it in a ``with`` block. `key` is random bytes
    of its own, under which config is digested.

    Raises:
        MetadataStoreCorrupt: the file is damaged, is no metadata store, or is of a newer Headwater.
        MetadataStoreError: the file cannot be opened, or stayed locked for half a minute.
    """

    def __init__(self, path: str | os.PathLike[str] = DEFAULT_PATH) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        with self._told("opened"):
            self._make_directory()
            self._connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def latest(self, namespace: str, asset: str) -> Materialization | None:
        """The asset's newest materialization, None if there was none."""
        return next(iter(self.history(namespace, asset, limit=1)), None)

    def history(self, namespace: str, asset: str, limit: int | None = None) -> list[Materialization]:
        """The asset's materializations, newest first, at most `limit` of them."""
        with self._told("read"), self._lock:
            rows = self._connection.execute(
                "SELECT * FROM materializations WHERE namespace = ? AND asset = ? ORDER BY id DESC LIMIT ?",
                (namespace, asset, -1 if limit is None else limit),
            ).fetchall()
        try:
            return [_from_row(row) for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def record(self, one: Materialization) -> Materialization:
        """Keep a materialization, and return it as it was kept.

        The store sets `created_at` to that of the asset's first materialization, if there was one, and
        `previous_checksum` to the newest one's checksum.
        """
        with self._told("written"), self._lock, self._transaction():
            known = self._connection.execute(
                "SELECT created_at, checksum FROM materializations WHERE namespace = ? AND asset = ?"
                " ORDER BY id DESC LIMIT 1",
                (one.namespace, one.asset),
            ).fetchone()
            if known is not None:
                created_at = datetime.fromisoformat(known["created_at"])
                one = replace(one, created_at=created_at, previous_checksum=known["checksum"])
            row = _to_row(one)
            self._connection.execute(
                f"INSERT INTO materializations ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
                list(row.values()),
            )
        return one

    def assets(self) -> list[tuple[str, str]]:
        """Every asset that was ever materialized, as (namespace, name), in order."""
        with self._told("read"), self._lock:
            rows = self._connection.execute("SELECT DISTINCT namespace, asset FROM materializations ORDER BY 1, 2")
            return [(row["namespace"], row["asset"]) for row in rows]

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        with self._lock:  # a thread that outlived its run may be reading, and SQLite crashes the process for it
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"MetadataStore({str(self.path)!r})"

    def _make_directory(self) -> None:
        directory = self.path.parent
        if not directory.is_dir():
            directory.mkdir(parents=True, exist_ok=True)
            if directory.name == DEFAULT_PATH.parent.name:  # ours alone: no one wants to commit it
                (directory / ".gitignore").write_text("*\n")

    def _prepare(self) -> None:
        self._connection.row_factory = sqlite3.Row
        self._check_owner()
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A commit survives the death of the process; after a power cut the last ones may be gone, and are made again.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._transaction():
            version = self._pragma("user_version")
            scripts = [_SCHEMA] * (version == 0) + [text for number, text in _UPGRADES.items() if number > version]
            for statement in (one for script in scripts for one in script.split(";") if one.strip()):
                self._connection.execute(statement)
            if scripts:
                self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        row = self._connection.execute("SELECT value FROM settings WHERE name = 'key'").fetchone()
        if row is None or len(row["value"]) != _KEY_BYTES:
            raise self._damaged(ValueError("its key is not there"))
        self.key: bytes = row["value"]

    def _check_owner(self) -> None:
        """Refuse a file that is not a metadata store of this version; a new, empty one is fine."""
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        owner, version = self._pragma("application_id"), self._pragma("user_version")
        if (tables or owner or version) and owner != _APPLICATION_ID:
            raise MetadataStoreCorrupt(
                f"{self.path} is a SQLite database of something else, not a metadata store; choose another path"
            )
        if version > _SCHEMA_VERSION:
            raise MetadataStoreCorrupt(
                f"{self.path} was written by a newer Headwater (store version {version}, this one knows "
                f"{_SCHEMA_VERSION}); upgrade Headwater or choose another path"
            )

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn SQLite's errors into ones that say which file, what is wrong and what to do."""
        try:
            yield
        except OSError as error:
            raise MetadataStoreError(f"{self.path} cannot be {what}: {error.strerror or error}") from error
        except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
            raise MetadataStoreError(f"the metadata store {self.path} cannot be {what}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> MetadataStoreCorrupt:
        return MetadataStoreCorrupt(
            f"the metadata store {self.path} is damaged: {error}. Nothing was changed in it; put back a copy, or "
            "move the file away to start over (every asset then runs again)"
        )


def _to_row(one: Materialization) -> dict[str, Any]:
    row = {name: getattr(one, name) for name in one.__dataclass_fields__}
    row["created_at"] = one.created_at.astimezone(UTC).isoformat()
    row["updated_at"] = one.updated_at.astimezone(UTC).isoformat()
    row["lineage"] = json.dumps(one.lineage)
    row["checks"] = json.dumps([asdict(check) for check in one.checks])
    row["fields"] = json.dumps([asdict(each) for each in one.fields])
    row["config"] = json.dumps(one.config)
    row["columns"] = json.dumps({name: [astuple(each) for each in origins] for name, origins in one.columns.items()})
    return row


_READERS: dict[str, Callable[[Any], Any]] = {
    "created_at": datetime.fromisoformat,
    "updated_at": datetime.fromisoformat,
    "lineage": json.loads,
    "checks": lambda text: tuple(CheckResult(**one) for one in json.loads(text)),
    "fields": lambda text: tuple(_field(one) for one in json.loads(text)),
    "config": json.loads,
    "columns": lambda text: {
        name: tuple(ColumnOrigin(*one) for one in origins) for name, origins in json.loads(text).items()
    },
}


def _from_row(row: sqlite3.Row) -> Materialization:
    values = dict(row)
    del values["id"]
    return Materialization(**{name: _READERS.get(name, _same)(value) for name, value in values.items()})


def _field(stored: dict[str, Any]) -> Field:
    return Field(**(stored | {"fields": tuple(_field(one) for one in stored["fields"])}))


def _same(value: Any) -> Any:
    return value
