"""Schemas of values."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Annotated, Any, TypedDict

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from emitter.schema import Field, schema_of

COLUMNS = {"id": [1, 2], "name": ["a", None], "price": [1.5, 2.5], "at": [dt.datetime(2024, 1, 1)] * 2}


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "arrow"])
def test_a_table_has_the_same_schema_in_every_library(kind: Any) -> None:
    assert schema_of(kind(COLUMNS)) == (
        Field("id", "int64"),
        Field("name", "string"),
        Field("price", "double"),
        Field("at", "timestamp[us]"),
    )


def test_nested_columns_have_fields_of_their_own() -> None:
    table = pa.table({"s": [{"x": 1, "y": ["a"]}], "l": [[{"z": 1.5}]], "c": pa.array(["a"]).dictionary_encode()})
    assert schema_of(table) == (
        Field("s", "struct<x: int64, y: list<string>>", None, (Field("x", "int64"), Field("y", "list<string>"))),
        Field("l", "list<struct<z: double>>", None, (Field("z", "double"),)),
        Field("c", "string"),
    )


def test_a_columns_description_is_kept() -> None:
    schema = pa.schema([pa.field("id", pa.int64(), metadata={"description": "who"})])
    assert schema_of(pa.table({"id": [1]}, schema=schema)) == (Field("id", "int64", "who"),)


def test_records_have_a_schema() -> None:
    rows = [
        {"id": 1, "price": 1, "tags": ["a"], "who": {"name": "x"}, "none": None},
        {"id": 2, "price": 1.5, "paid": True, "who": {"name": "y", "age": 3}, "mixed": 1},
        {"mixed": "a"},
    ]
    assert schema_of(rows) == (
        Field("id", "int64"),
        Field("price", "double"),
        Field("tags", "list"),
        Field("who", "struct", None, (Field("name", "string"), Field("age", "int64"))),
        Field("none", "null"),
        Field("paid", "bool"),
        Field("mixed", "int64|string"),
    )


@dataclasses.dataclass
class Address:
    city: str


@dataclasses.dataclass
class Order:
    id: int = dataclasses.field(metadata={"description": "the order's number"})
    paid: bool | None
    tags: list[str]
    address: Address


class Row(TypedDict):
    id: int
    at: dt.datetime


ORDER = (
    Field("id", "int64", "the order's number"),
    Field("paid", "bool"),
    Field("tags", "list<string>"),
    Field("address", "struct", None, (Field("city", "string"),)),
)


def test_dataclass_instances_have_the_schema_of_their_hints() -> None:
    order = Order(1, True, [], Address("x"))
    assert schema_of([order]) == ORDER
    assert schema_of(order) == ORDER


def test_a_return_annotation_says_what_an_empty_list_does_not() -> None:
    def orders() -> list[Order]: ...

    def rows() -> list[Row]: ...

    assert schema_of([], orders) == ORDER
    assert schema_of([], rows) == (Field("id", "int64"), Field("at", "timestamp"))


def test_other_values_have_no_schema() -> None:
    def unknown() -> "Nowhere": ...  # type: ignore[name-defined]  # noqa: F821, UP037

    for value in (1, "a", [], [1], {"a": 1}, None):
        assert schema_of(value) == ()
    assert schema_of([], unknown) == ()
    assert schema_of(pd.DataFrame({"a": [1, "x"]})) == ()


@dataclasses.dataclass
class Sale:
    id: Annotated[int, "the sale's number"]
    note: str
    price: float = dataclasses.field(default=0.0, metadata={"description": "in euros"})


def test_what_a_hint_says_is_kept_beside_what_the_value_says() -> None:
    def sales() -> list[Sale]:
        return []

    promised = schema_of([], sales)
    assert [(one.name, one.type, one.description) for one in promised] == [
        ("id", "int64", "the sale's number"),
        ("note", "string", None),
        ("price", "double", "in euros"),
    ]
    rows = [{"id": 1, "note": None, "extra": True}]
    for value in (rows, pl.DataFrame(rows)):
        assert [(one.name, one.type, one.description) for one in schema_of(value, sales)] == [
            ("id", "int64", "the sale's number"),
            ("note", "string", None),
            ("extra", "bool", None),
        ]


def test_a_pandera_model_as_a_hint_promises_its_columns() -> None:
    pandera = pytest.importorskip("pandera.pandas")

    class Visits(pandera.DataFrameModel):  # type: ignore[misc]
        page: str = pandera.Field(description="what was looked at")

    def visits() -> Any: ...

    visits.__annotations__["return"] = pandera.typing.DataFrame[Visits] if hasattr(pandera, "typing") else list[Visits]
    (field,) = schema_of(None, visits)
    assert (field.name, field.description) == ("page", "what was looked at")
