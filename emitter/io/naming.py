"""What data is called in lineage, by OpenLineage's naming (Naming.md), so that all who touch it name one node."""

from __future__ import annotations

import os
from typing import NamedTuple
from urllib.parse import urlsplit

#: Other ways to write a scheme, as Hadoop and fsspec have them.
_SCHEMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "abfss", "webhdfs": "hdfs"}
_PORTS = {"postgres": 5432, "mysql": 3306, "mssql": 1433, "oracle": 1521, "redshift": 5439}
_DATABASES = {"postgresql": "postgres", "mariadb": "mysql"}


class DatasetName(NamedTuple):
    """A dataset's namespace and name, by OpenLineage's naming for the store it is in."""

    namespace: str
    name: str


def name_of_url(url: str) -> DatasetName:
    """The name of a file by its URL: ``s3://bucket`` and the key, ``file`` and the absolute path, and so on."""
    parts = urlsplit(url)
    scheme = _SCHEMES.get(parts.scheme, parts.scheme)
    path = parts.path
    if scheme in ("", "file", "local"):
        return DatasetName("file", os.path.abspath(path))
    if scheme == "memory":
        return DatasetName("memory", f"{parts.netloc}{path}".strip("/"))
    if scheme == "abfss" and "@" not in parts.netloc:  # without the account, as fsspec has it
        return DatasetName(f"abfss://{parts.netloc}", path.lstrip("/"))
    host = parts.netloc if scheme == "abfss" else parts.netloc.rpartition("@")[2]  # never a user or a password
    return DatasetName(f"{scheme}://{host}", path if scheme == "hdfs" else path.lstrip("/"))


def name_of_table(
    dialect: str, host: str | None, port: int | None, database: str | None, schema: str | None, table: str
) -> DatasetName:
    """The name of a database's table: ``postgres://host:port`` and ``database.schema.table``.

    SQLite, which the naming does not have, is called by its file, ``sqlite:///path/shop.db``.
    """
    if dialect == "sqlite":
        place = os.path.abspath(database) if database and database != ":memory:" else "memory"
        return DatasetName(f"sqlite://{place}" if place != "memory" else "sqlite:memory", table)
    kind = _DATABASES.get(dialect, dialect)
    number = port or _PORTS.get(kind)
    namespace = f"{kind}://{host or 'localhost'}{f':{number}' if number else ''}"
    parts = (
        [database, table]
        if kind == "mysql"
        else [database, schema or ("public" if kind == "postgres" else None), table]
    )
    return DatasetName(namespace, ".".join(one for one in parts if one))
