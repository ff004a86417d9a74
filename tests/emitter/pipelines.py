"""A pipeline that every engine runs: tables, objects, files, memory, a failure, several outputs, config, checks."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pandas as pd

from emitter import (
    JSONIO,
    Asset,
    AssetGraph,
    MemoryIO,
    ParquetIO,
    PickleIO,
    Secret,
    asset,
    multi_asset,
    not_null,
    row_count,
    source_asset,
)


class Model:
    """A class of the pipeline's own; values of it are pickled."""

    def __init__(self, slope: float) -> None:
        self.slope = slope


def everything(folder: Path) -> AssetGraph:
    """The pipeline, its files in `folder`; `folder/in/prices.json` must be there."""
    tables, pickles = ParquetIO(folder / "tables"), PickleIO(folder / "pickles")

    prices = source_asset("prices", io=JSONIO(folder / "in"))

    @asset(io=tables, checks=[not_null("id"), row_count(5, severity="warn")], tags=["daily"], group="shop")
    def orders(prices: list[int], *, factor: int = 2, token: Secret = Secret("none")) -> pd.DataFrame:  # noqa: B008
        return pd.DataFrame({"id": range(len(prices)), "amount": [factor * one for one in prices]})

    @asset(columns={"sum": ["orders.amount"]})
    def total(orders: pd.DataFrame) -> list[dict[str, int]]:
        return [{"sum": int(orders["amount"].sum())}]

    @multi_asset(outs=["small", "large"], io=JSONIO(folder / "split"))
    def split(orders: pd.DataFrame, total: list[dict[str, int]]) -> dict[str, Any]:
        half = total[0]["sum"] / 2
        return {
            "small": [int(one) for one in orders["amount"] if one < half],
            "large": [int(one) for one in orders["amount"] if one >= half],
        }

    @asset(io=pickles)
    def model(small: list[int]) -> Model:
        return Model(float(len(small)))

    @asset
    def slope(model: Model, large: list[int]) -> float:
        return model.slope * len(large)

    @asset(version="2")
    def broken(total: list[dict[str, int]]) -> int:
        raise ValueError("no luck")

    @asset(deps=["broken"])
    def after() -> int:
        return 1

    return AssetGraph([prices, orders, total, split, model, slope, broken, after], name="everything")


def prepare(folder: Path) -> None:
    """Write what the pipeline reads."""
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "prices.json").write_text("[1, 2, 3, 4]")


def sleeping(seconds: float, name: str = "slow", **declared: Any) -> Asset:
    """An asset that notes that it began in the file ``{name}.began``, then sleeps; ``{name}.ended`` after that."""
    folder = os.getcwd()

    @asset(name=name, io=declared.pop("io", MemoryIO()), **declared)
    def slow() -> str:
        Path(folder, f"{name}.began").touch()
        time.sleep(seconds)
        Path(folder, f"{name}.ended").touch()
        return "slept"

    return slow
