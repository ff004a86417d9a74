"""What runs, what does not, and what is told about it."""

from __future__ import annotations

import datetime as dt
import gc
import os
import weakref
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from emitter import (
    JSONIO,
    Asset,
    AssetGraph,
    AssetResult,
    AssetStarted,
    DefaultExecutor,
    MemoryIO,
    MetadataStore,
    PickleIO,
    Status,
    asset,
    calculate_checksum,
    check,
    materialize,
    not_null,
    row_count,
)
from emitter.errors import (
    ChecksFailed,
    ChecksumError,
    GraphError,
    MaterializationFailed,
    MetadataStoreCorrupt,
    OutputMissing,
    ResultUnavailable,
    SelectionError,
    StorageError,
    UnknownAsset,
    UnsupportedValue,
)
from tests.emitter.refusals import refused


def made(name: str, *needed: str, value: Any = None, **declared: Any) -> Asset:
    return asset(name=name, deps=needed, **declared)(lambda: value)


@asset
def raw() -> list[int]:
    return [1, 2, 3]


@asset(version="2")
def total(raw: list[int]) -> int:
    return sum(raw)


def statuses(results: Any) -> dict[str, str]:
    return {name: str(result.status) for name, result in results.items()}


def test_assets_are_run_in_order_and_their_values_passed_on() -> None:
    results = materialize([total, raw])
    assert results["total"].value == 6
    assert list(results) == ["raw", "total"]
    assert results.succeeded


def test_a_result_says_what_was_made_and_from_what() -> None:
    before = dt.datetime.now(dt.UTC)
    results = materialize([raw, total])
    result, upstream = results["total"], results["raw"]
    assert result.status == Status.MATERIALIZED == "materialized"
    assert (result.version, result.code_version) == ("2", total.code_version)
    assert result.checksum == calculate_checksum(6)
    assert result.lineage == {"raw": {"version": "1", "checksum": upstream.checksum}}
    assert result.created_at == result.updated_at is not None
    assert before <= result.updated_at <= dt.datetime.now(dt.UTC)
    assert (upstream.rows, result.rows, result.error) == (None, None, None)
    assert result.duration >= 0 and results.duration >= result.duration
    assert result.run_id != upstream.run_id != results.run_id
    assert result.reason == "first materialization"


def test_rows_and_bytes_are_told_where_there_are_any(workdir: Path) -> None:
    @asset(io=JSONIO("data"))
    def rows() -> list[dict[str, int]]:
        return [{"a": 1}, {"a": 2}]

    result = materialize(rows)["rows"]
    assert result.rows == 2
    assert result.bytes == (workdir / "data" / "rows.json").stat().st_size


def test_an_asset_knows_its_latest_materialization() -> None:
    results = materialize([raw, total])
    assert (total.checksum, total.created_at) == (results["total"].checksum, results["total"].created_at)
    assert total.updated_at == results["total"].updated_at


def counted(name: str = "numbers", **declared: Any) -> tuple[Asset, list[int]]:
    """An asset kept in a file, and a list that grows when it runs."""
    runs: list[int] = []

    @asset(name=name, io=JSONIO("data"), **declared)
    def numbers() -> list[int]:
        runs.append(1)
        return [1, 2, 3]

    return numbers, runs


def test_what_has_not_changed_is_not_run_again() -> None:
    numbers, runs = counted()
    first = materialize(numbers)["numbers"]
    again = materialize(numbers)["numbers"]
    assert len(runs) == 1
    assert again.status == Status.UNCHANGED
    assert again.reason == "code, upstream and output are as they were"
    assert (again.checksum, again.created_at, again.updated_at) == (first.checksum, first.created_at, first.updated_at)
    assert again.value == [1, 2, 3]
    assert again.run_id != first.run_id


def test_force_runs_it_all_the_same() -> None:
    numbers, runs = counted()
    first = materialize(numbers)["numbers"]
    forced = materialize(numbers, force=True)["numbers"]
    assert (len(runs), forced.reason) == (2, "forced")
    assert forced.created_at == first.created_at
    assert forced.updated_at is not None and first.updated_at is not None and forced.updated_at > first.updated_at


def test_a_raised_version_is_a_reason_to_run() -> None:
    materialize(counted(version="1")[0])
    assert materialize(counted(version="2")[0])["numbers"].reason == "version changed 1 → 2"


def test_changed_code_is_a_reason_to_run() -> None:
    materialize(made("numbers", value=1, io=JSONIO("data")))
    assert materialize(made("numbers", value=2, io=JSONIO("data")))["numbers"].reason == "code changed"


def test_a_new_check_is_a_reason_to_run() -> None:
    materialize(counted()[0])
    result = materialize(counted(checks=[check(lambda value: len(value) > 5, name="long")])[0])["numbers"]
    assert (result.reason, result.status) == ("checks changed", "failed")


def test_an_output_that_is_gone_or_changed_is_a_reason_to_run(workdir: Path) -> None:
    numbers, runs = counted()
    materialize(numbers)
    (workdir / "data" / "numbers.json").unlink()
    assert materialize(numbers)["numbers"].reason == "output missing"
    (workdir / "data" / "numbers.json").write_text("[4]")
    assert materialize(numbers)["numbers"].reason == "output changed on disk"
    assert (len(runs), materialize(numbers)["numbers"].value) == (3, [1, 2, 3])


def test_an_output_that_cannot_be_read_is_a_reason_to_run(workdir: Path) -> None:
    numbers, _ = counted()
    materialize(numbers)
    (workdir / "data" / "numbers.json").unlink()
    os.mkfifo(workdir / "data" / "numbers.json")
    assert materialize(numbers)["numbers"].reason == "output cannot be read"
    assert materialize(numbers)["numbers"].status == "unchanged"


def test_a_changed_upstream_is_a_reason_to_run() -> None:
    def downstream(io: Any) -> Asset:
        @asset(io=io)
        def top(source: int) -> int:
            return 1

        return top

    io = JSONIO("data")
    materialize([made("source", value=1, io=io), downstream(io)])
    results = materialize([made("source", value=2, io=io), downstream(io)])
    assert results["top"].reason == "upstream source changed"


def test_an_upstream_that_runs_to_the_same_result_changes_nothing() -> None:
    numbers, _ = counted()

    @asset(io=JSONIO("data"))
    def top(numbers: list[int]) -> int:
        return sum(numbers)

    materialize([numbers, top])
    faster, _ = counted(version="2")
    results = materialize([faster, top])
    assert statuses(results) == {"numbers": "materialized", "top": "unchanged"}
    assert results["top"].lineage["numbers"]["version"] == "1"


def test_added_and_removed_upstream_is_a_reason_to_run() -> None:
    def both(*needed: str) -> Any:
        source = made("source", value=1, io=JSONIO("data"))
        return materialize([source, made("top", *needed, value=1, io=JSONIO("data"))])["top"]

    both()
    assert both("source").reason == "upstream source added"
    assert both().reason == "upstream source removed"


def test_what_is_in_memory_is_gone_with_the_asset() -> None:
    materialize(made("one", value=1))
    assert materialize(made("one", value=1))["one"].reason == "output missing"


def test_a_value_in_memory_that_was_changed_in_place_is_noticed() -> None:
    numbers = made("numbers", value=[1])
    result = materialize(numbers)["numbers"]
    result.value.append(2)
    assert materialize(numbers)["numbers"].reason == "output changed in memory"


def test_the_namespace_tells_materializations_apart() -> None:
    numbers, _ = counted()
    materialize(numbers, namespace="a")
    assert materialize(numbers, namespace="b")["numbers"].reason == "first materialization"
    assert materialize(counted(namespace="a")[0], namespace="b")["numbers"].status == "unchanged"


def test_an_index_that_changed_is_another_version() -> None:
    def frame(keys: list[str]) -> Asset:
        return made("frame", value=pd.DataFrame({"a": [1, 2]}, index=keys), io=PickleIO("data"))

    one = materialize(frame(["x", "y"]), force=True)["frame"].checksum
    assert materialize(frame(["x", "z"]), force=True)["frame"].checksum != one


@asset
def broken() -> int:
    raise ValueError("no luck")


@asset
def after(broken: int) -> int:
    return 1


@asset
def later(after: int, raw: list[int]) -> int:
    return 1


def test_a_failure_stops_what_is_made_from_it_and_nothing_else() -> None:
    results = materialize([raw, total, broken, after, later])
    assert statuses(results) == {
        "broken": "failed",
        "after": "upstream_failed",
        "raw": "materialized",
        "later": "upstream_failed",
        "total": "materialized",
    }
    assert isinstance(results["broken"].error, ValueError)
    assert results["later"].reason == "upstream broken failed"
    assert not results.succeeded
    assert [one.name for one in results.failures] == ["broken", "after", "later"]


def test_a_failure_has_the_users_own_traceback() -> None:
    error = materialize(broken)["broken"].error
    assert error is not None and error.__traceback__ is not None
    assert error.__traceback__.tb_frame.f_code.co_name == "broken"


def test_a_failed_asset_has_no_value() -> None:
    results = materialize([broken, after])
    with refused(ResultUnavailable, "asset 'broken' has no value, it is failed: no luck"):
        _ = results["broken"].value
    with refused(ResultUnavailable, "asset 'after' has no value, it is upstream_failed (upstream broken failed)"):
        _ = results["after"].value


def test_failures_can_be_raised() -> None:
    materialize(raw).raise_for_failures()
    with refused(MaterializationFailed, "2 of 2 assets did not succeed", "broken: failed, no luck") as raised:
        materialize([broken, after]).raise_for_failures()
    assert isinstance(raised.value.__cause__, ValueError)


def test_an_asset_that_failed_is_run_again() -> None:
    fails = [True]

    @asset
    def flaky() -> int:
        if fails.pop():
            raise OSError("not now")
        return 1

    assert materialize(flaky)["flaky"].status == "failed"
    fails.append(False)
    assert materialize(flaky)["flaky"].reason == "first materialization"


def test_a_blocking_check_keeps_the_last_good_output() -> None:
    def numbers(*values: int) -> Asset:
        return made(
            "numbers",
            value=list(values),
            io=JSONIO("data"),
            checks=[check(lambda found: max(found) < 10, name="small")],
        )

    materialize(numbers(1, 2))
    result = materialize(numbers(1, 20))["numbers"]
    assert result.status == "failed" and isinstance(result.error, ChecksFailed)
    assert str(result.error) == "asset 'numbers' was not stored, since a check failed: small: it does not hold"
    assert [one.success for one in result.checks] == [False]
    assert numbers().io.load(numbers()) == [1, 2]


def test_a_check_that_does_not_block_lets_the_rest_run_but_is_no_success() -> None:
    rows = made("rows", value=[], checks=[row_count(1, blocking=False)])
    results = materialize([rows, made("top", "rows", value=1)])
    assert statuses(results) == {"rows": "materialized", "top": "materialized"}
    assert not results["rows"].succeeded and not results.succeeded
    again = materialize([rows, made("top", "rows", value=1)])
    assert again["rows"].status == "unchanged" and not again.succeeded


def test_a_warning_is_only_told() -> None:
    results = materialize(made("rows", value=[], checks=[row_count(1, severity="warn")]))
    assert results.succeeded
    assert [(one.name, one.success) for one in results["rows"].checks] == [("row_count", False)]


def test_a_check_on_a_missing_column_is_told() -> None:
    result = materialize(made("rows", value=[{"id": 1}], checks=[not_null("idd")]))["rows"]
    assert "not_null(idd): there is no column 'idd'; did you mean 'id'?" in str(result.error)


def test_a_selection_runs_only_what_it_means_and_reads_the_rest() -> None:
    numbers, runs = counted()

    @asset(io=JSONIO("data"))
    def top(numbers: list[int]) -> int:
        return sum(numbers)

    materialize([numbers, top])
    results = materialize([numbers, top], select="top", force=True)
    assert list(results) == ["top"]
    assert (len(runs), results["top"].value) == (1, 6)
    assert results["top"].lineage["numbers"]["checksum"] == numbers.checksum


def test_a_selection_without_its_upstream_says_what_to_do() -> None:
    result = materialize([raw, total], select="total")["total"]
    assert isinstance(result.error, OutputMissing)
    assert str(result.error) == "asset 'total' needs 'raw', which was never materialized; select it too: '+total'"


def test_a_selection_whose_upstream_output_is_gone_or_changed_says_so(workdir: Path) -> None:
    numbers, _ = counted()

    @asset
    def top(numbers: list[int]) -> int:
        return sum(numbers)

    materialize(numbers)
    path = workdir / "data" / "numbers.json"
    path.write_text("[100]")
    error = materialize([numbers, top], select="top")["top"].error
    assert isinstance(error, StorageError)
    assert "the stored output of 'numbers' is not what was materialized, something else changed it" in str(error)
    path.unlink()
    error = materialize([numbers, top], select="top")["top"].error
    assert isinstance(error, OutputMissing) and "has no output at" in str(error)


def test_mistakes_are_refused_before_anything_runs() -> None:
    numbers, runs = counted()
    with refused(SelectionError, "the selection is empty"):
        materialize(numbers, select="")
    with refused(UnknownAsset, "did you mean 'numbers'?"):
        materialize(numbers, select="number")
    with refused(GraphError, "the namespace is ' '; give a name, such as 'default'"):
        materialize(numbers, namespace=" ")
    with refused(GraphError, "is no asset but a int"):
        materialize([numbers, 3])  # type: ignore[list-item]
    Path("broken.db").write_text("nonsense " * 100)
    with refused(MetadataStoreCorrupt, "broken.db is damaged"):
        materialize(numbers, store="broken.db")
    assert runs == []


def test_a_value_without_a_checksum_fails_in_memory_and_is_known_by_its_bytes_in_a_file(workdir: Path) -> None:
    in_memory = materialize(made("model", value=Model()))["model"]
    assert isinstance(in_memory.error, ChecksumError)
    assert "such as PickleIO('data/')" in str(in_memory.error)
    in_file = materialize(made("model", value=Model(), io=PickleIO("data")))["model"]
    assert in_file.checksum == calculate_checksum(workdir / "data" / "model.pkl")


class Model:
    pass


def test_an_io_manager_that_cannot_hold_the_value_fails_the_asset() -> None:
    error = materialize(made("numbers", value=(1, 2), io=JSONIO("data")))["numbers"].error
    assert isinstance(error, UnsupportedValue) and "$ is a tuple; return a list" in str(error)


def test_an_io_manager_that_keeps_nothing_is_told() -> None:
    class Forgetful(MemoryIO):
        pass

    class Void(PickleIO):
        def save(self, asset: Asset, value: Any) -> None: ...

    assert materialize(made("one", value=1, io=Forgetful())).succeeded
    error = materialize(made("two", value=1, io=Void("data")))["two"].error
    assert "kept nothing of asset 'two': its save() or stored() is wrong" in str(error)


def test_values_are_dropped_when_no_one_needs_them() -> None:
    alive: list[bool] = []
    references: list[weakref.ref[Any]] = []

    @asset(io=PickleIO("data"))
    def first() -> Model:
        value = Model()
        references.append(weakref.ref(value))
        return value

    @asset(io=PickleIO("data"))
    def second(first: Model) -> int:
        return 2

    @asset(io=PickleIO("data"))
    def third(second: int) -> int:
        gc.collect()
        alive.append(references[0]() is not None)
        return 3

    results = materialize([first, second, third])
    assert results.succeeded
    assert alive == [False]
    assert isinstance(results["first"].value, Model)


def test_positional_only_parameters_and_defaults_work() -> None:
    @asset
    def mixed(raw: list[int], /, limit: int = 2) -> list[int]:
        return raw[:limit]

    assert materialize([raw, mixed])["mixed"].value == [1, 2]


def test_progress_is_told_asset_by_asset() -> None:
    told: list[AssetResult | AssetStarted] = []
    results = materialize([raw, total], on_progress=told.append)
    assert told == [
        AssetStarted("raw", 1, 2),
        results["raw"],
        AssetStarted("total", 2, 2),
        results["total"],
    ]


def test_an_executor_can_be_used_many_times_and_shares_an_open_store() -> None:
    numbers, _ = counted()
    with MetadataStore("mine.db") as store:
        executor = DefaultExecutor(store=store, namespace="shop")
        executor.materialize(numbers)
        assert executor.materialize(AssetGraph([numbers]))["numbers"].status == "unchanged"
        assert [one.reason for one in store.history("shop", "numbers")] == ["first materialization"]


def test_an_engine_decides_how_the_assets_get_their_turn() -> None:
    class Backwards:
        """Gives turns in another topological order, as a parallel engine would."""

        def run(self, order: Any, upstream: Any, turn: Any) -> None:
            done: list[str] = []
            while len(done) < len(order):
                ready = [name for name in order if name not in done and set(upstream[name]) <= set(done)]
                turn(ready[-1])
                done.append(ready[-1])

    told: list[str] = []
    results = materialize(
        [made("a"), made("b"), made("c", "a")],
        engine=Backwards(),
        on_progress=lambda one: told.append(one.name) if isinstance(one, AssetResult) else None,
    )
    assert told == ["b", "a", "c"] and list(results) == ["a", "b", "c"]


def test_a_callback_that_raises_is_heard() -> None:
    def complain(progress: Any) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        materialize(raw, on_progress=complain)


def test_the_metadata_is_kept_out_of_git(workdir: Path) -> None:
    materialize(raw)
    assert (workdir / ".headwater" / ".gitignore").read_text() == "*\n"
    materialize(raw, store="elsewhere/metadata.db")
    assert not (workdir / "elsewhere" / ".gitignore").exists()


def test_a_whole_result_is_short_to_read() -> None:
    results = materialize([raw, total])
    assert repr(results) == f"<MaterializeResult of run {results.run_id} (raw: materialized, total: materialized)>"


def test_an_interrupt_is_raised_again() -> None:
    ran: list[int] = []

    @asset
    def slow() -> None:
        raise KeyboardInterrupt

    @asset(deps=[slow])
    def never() -> None:
        ran.append(1)

    with pytest.raises(KeyboardInterrupt):
        materialize([slow, never])
    assert ran == []
