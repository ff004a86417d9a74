"""Data that others produce."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from emitter import JSONIO, asset, check, materialize, source_asset
from emitter.errors import OutputMissing
from tests.emitter.conftest import Events


def orders(**declared: Any) -> Any:
    return source_asset("orders", io=JSONIO("in"), **declared)


@asset(io=JSONIO("out"))
def total(orders: list[int]) -> int:
    return sum(orders)


def write(workdir: Path, text: str) -> None:
    (workdir / "in").mkdir(exist_ok=True)
    (workdir / "in" / "orders.json").write_text(text)


def test_a_source_is_read_and_not_made_and_its_new_content_is_a_reason_to_run(workdir: Path) -> None:
    write(workdir, "[1, 2]")
    results = materialize([orders(), total])
    assert (results["orders"].status, results["orders"].reason) == ("observed", "first seen")
    assert results["total"].value == 3
    assert results.succeeded
    again = materialize([orders(), total])
    assert (again["orders"].status, again["total"].status) == ("unchanged", "unchanged")
    write(workdir, "[5]")
    changed = materialize([orders(), total])
    assert (changed["orders"].reason, changed["total"].reason) == ("its content changed", "upstream orders changed")
    assert changed["total"].value == 5


def test_no_event_claims_that_a_source_was_written_and_it_meets_its_writer_by_its_name(
    events: Events, workdir: Path
) -> None:
    write(workdir, "[1]")
    results = materialize([orders(), total], on_event=events)
    assert events.of("orders") == []
    (read,) = events.ending("total")["inputs"]
    assert (read["namespace"], read["name"]) == ("file", f"{workdir}/in/orders.json")
    assert read["facets"]["version"]["datasetVersion"] == results["orders"].checksum


def test_a_source_elsewhere_is_known_by_its_name_and_version(events: Events) -> None:
    def elsewhere(version: str) -> Any:
        return source_asset("clicks", dataset=("postgres://db:5432", "shop.public.clicks"), version=version)

    @asset(deps=["clicks"], io=JSONIO("out"))
    def count() -> int:
        return 1

    materialize([elsewhere("1"), count], on_event=events)
    (read,) = events.ending("count")["inputs"]
    assert (read["namespace"], read["name"]) == ("postgres://db:5432", "shop.public.clicks")
    assert "version" not in read.get("facets", {})
    assert materialize([elsewhere("1"), count])["count"].status == "unchanged"
    changed = materialize([elsewhere("2"), count])
    assert (changed["clicks"].reason, changed["count"].reason) == ("version changed 1 → 2", "upstream clicks changed")


def test_a_source_is_looked_at_although_it_is_not_selected(workdir: Path) -> None:
    write(workdir, "[1]")
    assert materialize([orders(), total], select="total")["total"].value == 1
    write(workdir, "[2]")
    assert materialize([orders(), total], select="total")["total"].reason == "upstream orders changed"


def test_a_source_that_is_not_there_is_told_and_stops_what_needs_it(workdir: Path) -> None:
    results = materialize([orders(), total])
    assert isinstance(results["orders"].error, OutputMissing)
    assert str(results["orders"].error) == f"the source 'orders' is not there: nothing is at {workdir}/in/orders.json"
    assert (results["total"].status, results["total"].reason) == ("upstream_failed", "upstream orders failed")


def test_a_source_without_io_cannot_be_passed() -> None:
    error = materialize([source_asset("orders"), total])["total"].error
    assert "a source without an IO manager, so nothing can be passed; give it one" in str(error)


def test_a_source_has_checks_which_stop_what_is_made_from_it(workdir: Path) -> None:
    write(workdir, "[]")
    results = materialize([orders(checks=[check(lambda value: len(value) > 0, name="some")]), total])
    assert "the source 'orders' is not as it must be: some" in str(results["orders"].error)
    assert results["total"].status == "upstream_failed"


def test_a_source_says_where_it_is_declared_and_when_it_was_first_seen(workdir: Path) -> None:
    write(workdir, "[1]")
    source = orders(description="What was ordered.", group="shop")
    assert "test_sources.py" in str(source.location)
    result = materialize(source)["orders"]
    assert result.created_at is not None and result.created_at <= dt.datetime.now(dt.UTC)
    assert (source.description, source.group, source.source, source.code_version) == (
        "What was ordered.",
        "shop",
        None,
        "",
    )
