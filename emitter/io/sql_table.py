"""Outputs as tables of a database, through SQLAlchemy."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from emitter.checksum import digest
from emitter.errors import OutputMissing, StorageError, UnsupportedValue
from emitter.io.naming import DatasetName, name_of_table
from emitter.io.protocol import IOManager, Stored
from emitter.io.tables import LIBRARIES, as_arrow, returned, without_pyarrow

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

    from emitter.assets import Asset

_BATCH_ROWS = 5_000


class SQLTableIO(IOManager):
    """Keeps tables and lists of dicts as a table named after the asset, in a database that SQLAlchemy reaches.

    The new table takes the place of the old one in one transaction: whoever reads sees one or the other. Columns come
    back with the types that the database has, so what is stored has one form whoever made it. The rows have no order of
    their own in a database; their checksum is taken in the order of all columns.

    Args:
        url: as SQLAlchemy has it, such as ``sqlite:///shop.db`` or ``postgresql+psycopg://user@host/shop``.
        schema: the database's schema; its default one if None.
        table: the table's name, for an IO manager of one asset; by default the asset's.
        returns: ``pandas``, ``polars``, ``pyarrow`` or ``records``: what `load` gives.
    """

    def __init__(
        self, url: str, *, schema: str | None = None, table: str | None = None, returns: str = "pandas"
    ) -> None:
        import sqlalchemy as sa

        if returns not in LIBRARIES:
            raise StorageError(f"SQLTableIO cannot return {returns!r}; give one of {', '.join(LIBRARIES)}")
        try:
            self._url = sa.engine.make_url(url)
            if self._url.drivername == "postgresql":  # the driver that Headwater's extra installs
                self._url = self._url.set(drivername="postgresql+psycopg")
        except sa.exc.ArgumentError as error:
            raise StorageError(f"{url!r} is no database's URL; write it like sqlite:///shop.db: {error}") from error
        self.schema = schema
        self.table = table
        self.returns = returns
        self.in_process = self._url.get_backend_name() == "sqlite" and self._url.database in (None, "", ":memory:")
        self._engine: sa.Engine | None = None

    def __repr__(self) -> str:
        return f"SQLTableIO({self._url.render_as_string(hide_password=True)!r})"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_engine": None}  # another process connects by itself

    def save(self, asset: Asset, value: Any) -> None:
        import sqlalchemy as sa

        table, _ = as_arrow(value, asset, "a database's table")
        name = self.table or asset.name
        columns = [sa.Column(one.name, _sql_type(one.type, one.name, asset), nullable=True) for one in table.schema]
        if not columns:
            raise UnsupportedValue(f"asset '{asset.name}' returned a table without columns, which no database holds")
        fresh = sa.Table(f"headwater_{secrets.token_hex(6)}", sa.MetaData(), *columns, schema=self.schema)
        with self._transaction(f"asset '{asset.name}' cannot be written to {self!r}") as connection:
            fresh.create(connection)
            for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
                connection.execute(fresh.insert(), batch.to_pylist())
            preparer = connection.dialect.identifier_preparer
            old = sa.Table(name, sa.MetaData(), schema=self.schema)
            connection.execute(sa.schema.DropTable(old, if_exists=True))
            target = preparer.quote(name)
            if connection.dialect.name not in ("sqlite", "postgresql"):
                target = preparer.format_table(old)
            connection.execute(sa.text(f"ALTER TABLE {preparer.format_table(fresh)} RENAME TO {target}"))

    def load(self, asset: Asset) -> Any:
        return returned(self._read(asset), self.returns)

    def stored(self, asset: Asset) -> Stored | None:
        try:
            table = self._read(asset)
        except OutputMissing:
            return None
        found = digest(table)
        return Stored(str(found), table.nbytes)

    def dataset(self, asset: Asset) -> DatasetName:
        url, name = self._url, self.table or asset.name
        return name_of_table(url.get_backend_name(), url.host, url.port, url.database, self.schema, name)

    def _read(self, asset: Asset) -> pa.Table:
        try:
            import pyarrow as pa
        except ImportError as error:
            raise without_pyarrow("reading a database's table") from error
        import sqlalchemy as sa

        with self._transaction(f"asset '{asset.name}' cannot be read from {self!r}") as connection:
            name = self.table or asset.name
            if not sa.inspect(connection).has_table(name, schema=self.schema):
                raise OutputMissing(f"asset '{asset.name}' has no table '{name}' in {self!r}; materialize it first")
            table = sa.Table(name, sa.MetaData(), schema=self.schema, autoload_with=connection)
            columns = list(table.columns)
            query = sa.select(*columns).order_by(*(one for one in columns if _can_be_sorted(one.type)))
            rows = connection.execute(query).fetchall()
        data = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
        arrays = [pa.array(values, type=_arrow_type(one.type)) for one, values in zip(columns, data, strict=True)]
        return pa.table(arrays, names=[one.name for one in columns])

    @contextmanager
    def _transaction(self, what: str) -> Iterator[sa.Connection]:
        import sqlalchemy as sa

        try:
            if self._engine is None:
                self._engine = _engine(self._url)
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.NoSuchModuleError as error:
            raise StorageError(f"{what}: SQLAlchemy knows no database '{self._url.drivername}'") from error
        except ImportError as error:
            raise StorageError(f"{what}: its driver is not installed ({error})") from error
        except sa.exc.SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            raise StorageError(f"{what}: {type(cause).__name__}: {str(cause).strip()}") from error


def _engine(url: sa.URL) -> sa.Engine:
    """An engine whose transactions hold the making and dropping of tables too."""
    import sqlalchemy as sa

    memory = url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")
    engine = sa.create_engine(url, poolclass=sa.pool.StaticPool if memory else sa.pool.NullPool)
    if url.get_backend_name() == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def connect(connection: Any, _: Any) -> None:
            connection.isolation_level = None  # Python's sqlite3 would begin only before an INSERT

        @sa.event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN")

    return engine


def _sql_type(type_: pa.DataType, column: str, asset: Asset) -> Any:
    import pyarrow as pa
    import sqlalchemy as sa

    is_ = pa.types
    if is_.is_dictionary(type_):
        return _sql_type(type_.value_type, column, asset)
    if is_.is_decimal(type_):
        return sa.Numeric(type_.precision, type_.scale)
    for holds, kind in (
        (is_.is_boolean, sa.Boolean()),
        (lambda one: is_.is_integer(one) and one.bit_width <= 16 and str(one) != "uint16", sa.SmallInteger()),
        (lambda one: is_.is_integer(one) and str(one) in ("int32", "uint16"), sa.Integer()),
        (lambda one: is_.is_integer(one) and str(one) != "uint64", sa.BigInteger()),
        (is_.is_floating, sa.Double()),
        (lambda one: "string" in str(one) or is_.is_null(one), sa.Text()),
        (lambda one: "binary" in str(one), sa.LargeBinary()),
        (is_.is_date, sa.Date()),
        (lambda one: is_.is_timestamp(one) and one.tz is not None, sa.DateTime(timezone=True)),
        (is_.is_timestamp, sa.DateTime()),
        (is_.is_time, sa.Time()),
    ):
        if holds(type_):
            return kind
    raise UnsupportedValue(
        f"asset '{asset.name}' has a column '{column}' of type {type_}, which a database's table cannot hold; turn it "
        "into a text or a number, or use ParquetIO('data/')"
    )


def _arrow_type(type_: Any) -> pa.DataType | None:
    """The Arrow type of a database's; None where the values decide."""
    import pyarrow as pa
    import sqlalchemy as sa

    if isinstance(type_, sa.Numeric) and not isinstance(type_, sa.Float):
        return pa.decimal128(type_.precision or 38, type_.scale or 0)
    for kind, made in (
        (sa.Boolean, pa.bool_()),
        (sa.SmallInteger, pa.int16()),
        (sa.BigInteger, pa.int64()),
        (sa.Integer, pa.int32()),
        (sa.Float, pa.float64()),
        (sa.LargeBinary, pa.binary()),
        (sa.DateTime, pa.timestamp("us", "UTC" if getattr(type_, "timezone", False) else None)),
        (sa.Date, pa.date32()),
        (sa.Time, pa.time64("us")),
        (sa.String, pa.string()),
    ):
        if isinstance(type_, kind):
            return made
    return None


def _can_be_sorted(type_: Any) -> bool:
    import sqlalchemy as sa

    return not isinstance(type_, sa.JSON)
