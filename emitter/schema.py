"""The schema of a value, as OpenLineage's schema facet has it: fields with a name, a type and nested fields."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import types
import typing
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from emitter.tables import is_records, is_table, to_arrow, type_name

#: As many records are looked at to find out what their fields hold.
_SAMPLE = 1_000
_PYTHON_TYPES: dict[type, str] = {
    bool: "bool",
    int: "int64",
    float: "double",
    str: "string",
    bytes: "binary",
    dt.datetime: "timestamp",
    dt.date: "date",
    dt.time: "time",
    dt.timedelta: "duration",
    decimal.Decimal: "decimal",
    uuid.UUID: "uuid",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A column: its name, the name of its type as Arrow has it, what it means, and a struct's own fields."""

    name: str
    type: str | None = None
    description: str | None = None
    fields: tuple[Field, ...] = ()


def schema_of(value: Any, function: Callable[..., Any] | None = None) -> tuple[Field, ...]:
    """The fields of a table, a list of dicts or a list of dataclass instances; empty for anything else.

    Where the value says nothing (an empty list, say), the return annotation of `function` may: a dataclass, TypedDict
    or pandera model, or a list or table of one. What it says about a field's meaning, and about a type that the value
    leaves open (a column of missing values only), is kept in any case.
    """
    hints = _hints(function) if function is not None else {}
    promised = hinted_fields(hints.get("return"))
    found = _found(value)
    return _merged(found, promised) if found else promised


def _found(value: Any) -> tuple[Field, ...]:
    if is_table(value):
        try:
            return tuple(_arrow_field(field) for field in to_arrow(value).schema)
        except (ImportError, NotImplementedError, TypeError, ValueError):
            return ()
    if is_records(value):
        return _record_fields(value)
    row_class = type(value[0]) if isinstance(value, list) and value else type(value)
    return hinted_fields(row_class) if dataclasses.is_dataclass(row_class) else ()


def _merged(found: tuple[Field, ...], promised: tuple[Field, ...]) -> tuple[Field, ...]:
    by_name = {one.name: one for one in promised}
    return tuple(
        dataclasses.replace(
            one,
            type=hint.type if one.type in (None, "null") else one.type,
            description=one.description or hint.description,
            fields=_merged(one.fields, hint.fields)
            if one.fields
            else hint.fields
            if one.type in (None, "null")
            else (),
        )
        if (hint := by_name.get(one.name)) is not None
        else one
        for one in found
    )


def hinted_fields(hint: Any) -> tuple[Field, ...]:
    """The fields that a type hint promises: of a dataclass, TypedDict or pandera model, or a list or table of one."""
    for inner in (hint, *typing.get_args(hint)):
        if not isinstance(inner, type):
            continue
        if dataclasses.is_dataclass(inner) or typing.is_typeddict(inner):
            hints = _hints(inner, include_extras=True)
            notes = {
                one.name: one.metadata.get("description")
                for one in (dataclasses.fields(inner) if dataclasses.is_dataclass(inner) else ())
            }
            return tuple(
                Field(name, _hint_name(one), notes.get(name) or _annotated_text(one), hinted_fields(one))
                for name, one in hints.items()
            )
        if hasattr(inner, "to_schema") and any(one.__module__.startswith("pandera.") for one in inner.__mro__):
            columns = inner.to_schema().columns
            return tuple(
                Field(str(name), str(column.dtype).lower(), getattr(column, "description", None))
                for name, column in columns.items()
            )
    return ()


def _annotated_text(hint: Any) -> str | None:
    """The text in ``Annotated[int, "what it means"]``."""
    extras = typing.get_args(hint)[1:] if typing.get_origin(hint) is typing.Annotated else ()
    return next((one for one in extras if isinstance(one, str)), None)


def _arrow_field(field: Any) -> Field:
    import pyarrow as pa

    type_ = field.type
    description = (field.metadata or {}).get(b"description")
    inner = type_.value_type if pa.types.is_list(type_) or pa.types.is_large_list(type_) else type_
    nested = tuple(_arrow_field(one) for one in inner) if pa.types.is_struct(inner) else ()
    return Field(field.name, type_name(type_), description.decode("utf-8", "replace") if description else None, nested)


def _record_fields(records: Iterable[Mapping[str, Any]]) -> tuple[Field, ...]:
    found: dict[str, list[Any]] = {}
    for _, record in zip(range(_SAMPLE), records, strict=False):
        for name, value in record.items():
            found.setdefault(str(name), []).append(value)
    return tuple(_python_field(name, values) for name, values in found.items())


def _python_field(name: str, values: list[Any]) -> Field:
    present = [value for value in values if value is not None]
    names = {_python_name(value) for value in present}
    if names == {"int64", "double"}:
        names = {"double"}
    nested = _record_fields(present) if names == {"struct"} else ()
    return Field(name, "|".join(sorted(names)) or "null", None, nested)


def _python_name(value: Any) -> str:
    if isinstance(value, Mapping):
        return "struct"
    if isinstance(value, list | tuple | set | frozenset):
        return "list"
    return next((name for cls, name in _PYTHON_TYPES.items() if isinstance(value, cls)), type(value).__name__)


def _hint_name(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return "|".join(sorted({_hint_name(one) for one in typing.get_args(hint) if one is not type(None)}))
    if origin is typing.Annotated:
        return _hint_name(typing.get_args(hint)[0])
    if origin in (list, tuple, set, frozenset):
        inner = next((_hint_name(one) for one in typing.get_args(hint) if one is not ...), "")
        return f"list<{inner}>" if inner else "list"
    if isinstance(hint, type):
        if dataclasses.is_dataclass(hint) or typing.is_typeddict(hint):
            return "struct"
        if issubclass(hint, Enum):
            return "string"
    return _PYTHON_TYPES.get(hint) or str(getattr(hint, "__name__", hint))


def _hints(target: Any, *, include_extras: bool = False) -> dict[str, Any]:
    try:
        return typing.get_type_hints(target, include_extras=include_extras)
    except Exception:  # noqa: BLE001 - a hint is any expression, and one that cannot be evaluated says nothing
        return {}
