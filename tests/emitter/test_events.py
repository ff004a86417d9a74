"""The events of a materialization; each is validated by OpenLineage's and our own schemas when it comes."""

from __future__ import annotations

import datetime as dt
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import facets
from emitter import JSONIO, Asset, ParquetIO, asset, between, check, load_pipeline, materialize, not_null, row_count
from emitter.git import web_address
from tests.emitter.conftest import Events, RecordingCollector


@pytest.fixture
def raw() -> Asset:
    @asset
    def raw() -> list[dict[str, Any]]:
        """What came in."""
        return [{"id": 1, "price": 2.5}, {"id": 2, "price": None}]

    return raw


@pytest.fixture
def orders(workdir: Path) -> Asset:
    @asset(
        version="3",
        owners=["team:data"],
        tags=["daily"],
        checks=[not_null("id"), between("price", 0, 1, severity="warn")],
        io=ParquetIO("data"),
    )
    def orders(raw: list[dict[str, Any]]) -> pd.DataFrame:
        """The orders of *one* day."""
        return pd.DataFrame(raw)

    return orders


@asset
def broken(raw: list[dict[str, Any]]) -> None:
    raise ValueError("no luck")


@asset
def after(broken: None) -> None: ...


def run_facet(event: dict[str, Any], key: str) -> Any:
    return event["run"]["facets"].get(key)


def test_the_whole_is_a_parent_run_and_each_asset_a_child(events: Events, raw: Asset, orders: Asset) -> None:
    results = materialize([raw, orders], name="nightly", namespace="shop", on_event=events)
    assert [(event["job"]["name"], event["eventType"]) for event in events] == [
        ("nightly", "START"),
        ("raw", "START"),
        ("raw", "COMPLETE"),
        ("orders", "START"),
        ("orders", "COMPLETE"),
        ("nightly", "COMPLETE"),
    ]
    whole = {"run": {"runId": results.run_id}, "job": {"namespace": "shop", "name": "nightly"}}
    for event in events.of("raw") + events.of("orders"):
        parent = run_facet(event, "parent")
        for found in (parent, parent["root"]):
            assert found["run"]["runId"] == results.run_id
            assert (found["job"]["namespace"], found["job"]["name"]) == ("shop", "nightly")
    assert {event["run"]["runId"] for event in events.of("nightly")} == {whole["run"]["runId"]}
    assert {event["run"]["runId"] for event in events.of("orders")} == {results["orders"].run_id}
    types = {event["job"]["name"]: event["job"]["facets"]["jobType"] for event in events}
    assert (types["nightly"]["jobType"], types["orders"]["jobType"]) == ("PIPELINE", "ASSET")
    assert types["orders"]["integration"] == "HEADWATER" and types["orders"]["processingType"] == "BATCH"


def test_run_ids_are_uuids_of_version_7_and_times_are_utc_and_in_order(
    events: Events, raw: Asset, orders: Asset
) -> None:
    materialize([raw, orders], on_event=events)
    assert {uuid.UUID(event["run"]["runId"]).version for event in events} == {7}
    assert all(event["eventTime"].endswith("Z") for event in events)
    times = [dt.datetime.fromisoformat(event["eventTime"]) for event in events]
    assert times == sorted(times)


def test_every_event_and_facet_says_that_we_produced_it(events: Events, raw: Asset, orders: Asset) -> None:
    materialize([raw, orders, broken, after], on_event=events)

    def producers(value: Any) -> Any:
        if isinstance(value, dict):
            yield from (one for key, one in value.items() if key in ("producer", "_producer"))
            value = list(value.values())
        if isinstance(value, list):
            for one in value:
                yield from producers(one)

    assert set(producers(list(events))) == {facets.PRODUCER}


def test_an_output_is_described(events: Events, workdir: Path, raw: Asset, orders: Asset) -> None:
    result = materialize([raw, orders], on_event=events)["orders"]
    (output,) = events.ending("orders")["outputs"]
    assert (output["namespace"], output["name"]) == ("file", orders.io.path(orders).as_posix())  # type: ignore[attr-defined]
    found = output["facets"]
    assert [(one["name"], one["type"], one["ordinal_position"]) for one in found["schema"]["fields"]] == [
        ("id", "int64", 1),
        ("price", "double", 2),
    ]
    assert found["version"]["datasetVersion"] == result.checksum
    assert found["documentation"]["description"] == "The orders of *one* day."
    assert [one["name"] for one in found["ownership"]["owners"]] == ["team:data"]
    assert [(one["key"], one["value"]) for one in found["tags"]["tags"]] == [("daily", "true")]
    version = found["headwater_assetVersion"]
    assert (version["assetVersion"], version["codeVersion"]) == ("3", orders.code_version)
    assert version["dataVersion"] == result.checksum
    assert dt.datetime.fromisoformat(version["createdAt"]) == result.created_at
    checksum = found["headwater_checksum"]
    assert f"{checksum['algorithm']}:{checksum['value']}" == result.checksum
    assert (checksum["hashed"], checksum["rows"]) == ("table", 2)
    statistics = output["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"]) == (2, result.bytes)


def test_an_input_says_which_version_was_read(events: Events, raw: Asset, orders: Asset) -> None:
    results = materialize([raw, orders], on_event=events)
    for event in events.of("orders"):
        (read,) = event["inputs"]
        assert (read["namespace"], read["name"]) == ("default", "raw")
        assert read["facets"]["version"]["datasetVersion"] == results["raw"].checksum
        assert read["facets"]["headwater_assetVersion"]["assetVersion"] == "1"
        assert read["facets"]["headwater_checksum"]["hashed"] == "object"


def test_checks_are_told_with_the_dataset_and_with_the_run(events: Events, raw: Asset, orders: Asset) -> None:
    materialize([raw, orders], on_event=events)
    ending = events.ending("orders")
    assertions = ending["outputs"][0]["facets"]["dataQualityAssertions"]["assertions"]
    assert [(one["assertion"], one["column"], one["success"], one["severity"]) for one in assertions] == [
        ("not_null", "id", True, "error"),
        ("between", "price", False, "warn"),
    ]
    assert (assertions[1]["expected"], assertions[1]["actual"]) == ("0 to 1", "1 outside")
    tests = run_facet(ending, "test")["tests"]
    assert [(one["name"], one["status"]) for one in tests] == [("not_null(id)", "pass"), ("between(price)", "fail")]


def test_a_job_is_described(events: Events, raw: Asset, orders: Asset) -> None:
    materialize([raw, orders], on_event=events)
    job = events.of("orders")[0]["job"]["facets"]
    assert job["documentation"]["description"] == "The orders of *one* day."
    assert job["ownership"]["owners"][0]["name"] == "team:data"
    assert job["tags"]["tags"][0]["key"] == "daily"
    assert job["sourceCode"]["language"] == "PYTHON"
    assert job["sourceCode"]["sourceCode"].endswith("    return pd.DataFrame(raw)\n")
    engine = run_facet(events[0], "processing_engine")
    assert engine["name"] == "Python" and engine["version"].startswith("3.")


def test_a_run_says_what_it_did_and_why(events: Events, raw: Asset, orders: Asset) -> None:
    materialize([raw, orders], on_event=events)
    assert run_facet(events.of("raw")[0], "headwater_materialization") is None
    told = run_facet(events.ending("raw"), "headwater_materialization")
    assert (told["status"], told["reason"]) == ("materialized", "first materialization")
    told = run_facet(events[-1], "headwater_materialization")
    assert (told["status"], told["reason"]) == ("materialized", "2 of 2 assets materialized, the rest unchanged")


def test_an_unchanged_asset_completes_at_the_version_that_stays(events: Events, raw: Asset) -> None:
    result = materialize(raw)["raw"]
    materialize(raw, on_event=events)
    assert events.states("raw") == ["START", "COMPLETE"]
    ending = events.ending("raw")
    assert run_facet(ending, "headwater_materialization")["status"] == "unchanged"
    (output,) = ending["outputs"]
    assert output["facets"]["version"]["datasetVersion"] == result.checksum
    assert output["facets"]["schema"]["fields"][0]["name"] == "id"
    assert output["outputFacets"] == {}
    assert run_facet(events[-1], "headwater_materialization")["status"] == "unchanged"


def test_a_version_names_the_one_that_it_replaces(events: Events) -> None:
    first = materialize(asset(name="n", io=JSONIO("data"))(lambda: 1))["n"]
    materialize(asset(name="n", io=JSONIO("data"))(lambda: 2), on_event=events)
    version = events.ending("n")["outputs"][0]["facets"]["headwater_assetVersion"]
    assert version["previousDataVersion"] == first.checksum
    assert dt.datetime.fromisoformat(version["createdAt"]) == first.created_at
    assert version["updatedAt"] > version["createdAt"]


def test_a_failure_is_told_and_claims_no_output(events: Events, raw: Asset) -> None:
    materialize([raw, broken, after], on_event=events, name="nightly")
    assert events.states("broken") == ["START", "FAIL"]
    failed = events.ending("broken")
    assert all(event["outputs"] == [] for event in events.of("broken"))
    assert [one["name"] for one in failed["inputs"]] == ["raw"]
    error = run_facet(failed, "errorMessage")
    assert (error["message"], error["programmingLanguage"]) == ("ValueError: no luck", "PYTHON")
    assert 'raise ValueError("no luck")' in error["stackTrace"] and "turn.py" not in error["stackTrace"]
    assert run_facet(failed, "headwater_materialization")["status"] == "failed"


def test_what_is_made_from_a_failure_is_aborted_with_the_reason(events: Events, raw: Asset) -> None:
    materialize([raw, broken, after], on_event=events, name="nightly")
    assert events.states("after") == ["ABORT"]
    (aborted,) = events.of("after")
    told = run_facet(aborted, "headwater_materialization")
    assert (told["status"], told["reason"]) == ("upstream_failed", "upstream broken failed")
    assert aborted["inputs"] == aborted["outputs"] == []
    assert events.states("nightly") == ["START", "FAIL"]
    whole = events.ending("nightly")
    assert run_facet(whole, "headwater_materialization")["reason"] == "2 of 3 assets did not succeed: broken, after"
    assert "2 of 3 assets did not succeed" in run_facet(whole, "errorMessage")["message"]


def test_an_output_that_a_check_stopped_is_not_claimed_but_the_check_is_told(events: Events) -> None:
    materialize(asset(name="rows", checks=[row_count(1)])(list), on_event=events)
    failed = events.ending("rows")
    assert (failed["eventType"], failed["outputs"]) == ("FAIL", [])
    (test,) = run_facet(failed, "test")["tests"]
    assert (test["name"], test["status"], test["description"]) == (
        "row_count",
        "fail",
        "there are 0 rows, not at least 1 rows",
    )


def test_a_missing_upstream_still_starts_and_fails(events: Events, raw: Asset, orders: Asset) -> None:
    materialize([raw, orders], select="orders", on_event=events)
    assert events.states("orders") == ["START", "FAIL"]


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_aborts_the_asset_and_the_whole(events: Events, signal: type[BaseException]) -> None:
    @asset
    def slow() -> None:
        raise signal

    with pytest.raises(signal):
        materialize([slow, asset(name="never", deps=[slow])(lambda: 1)], on_event=events, name="nightly")
    assert [(event["job"]["name"], event["eventType"]) for event in events] == [
        ("nightly", "START"),
        ("slow", "START"),
        ("slow", "ABORT"),
        ("nightly", "ABORT"),
    ]
    told = run_facet(events.ending("slow"), "headwater_materialization")
    assert (told["status"], told["reason"]) == ("skipped", "interrupted")


def test_assets_of_other_namespaces_keep_theirs(events: Events) -> None:
    there = asset(name="there", namespace="other")(lambda: 1)
    here = asset(name="here", deps=[there])(lambda: 1)
    materialize([here, there], namespace="shop", on_event=events, name="nightly")
    assert {event["job"]["name"]: event["job"]["namespace"] for event in events} == {
        "nightly": "shop",
        "there": "other",
        "here": "shop",
    }
    assert events.ending("here")["inputs"][0]["namespace"] == "other"


def test_a_pipeline_of_an_assets_name_is_still_another_job(events: Events, raw: Asset) -> None:
    materialize(raw, name="raw", on_event=events)
    assert events[0]["job"]["name"] == "raw.pipeline"


def test_a_pipeline_is_called_after_its_file_or_module(events: Events, workdir: Path, raw: Asset) -> None:
    materialize(raw, on_event=events)
    assert events[0]["job"]["name"] == "test_events"
    (workdir / "nightly.py").write_text("from emitter import asset\n@asset\ndef one(): return 1\n")
    materialize(load_pipeline("nightly.py"), on_event=events)
    assert events[-1]["job"]["name"] == "nightly"


def test_hostile_names_and_texts_make_valid_events(events: Events) -> None:
    text = "\"'<b>\\ \u202e\n\t\u0000 ünï 🦀"

    def fail(value: Any) -> Any:
        return False, text

    @asset(
        name="ünï-1.x", owners=[text], tags=[text], description=text, checks=[check(fail, name=text, severity="warn")]
    )
    def hostile() -> list[dict[str, int]]:
        return [{text: 1}]

    @asset(deps=[hostile])
    def failing() -> None:
        raise ValueError(text)

    materialize([hostile, failing], on_event=events, namespace=text, name=text)
    assert events.ending("ünï-1.x")["outputs"][0]["facets"]["schema"]["fields"][0]["name"] == text
    assert events.states("failing") == ["START", "FAIL"]


def test_a_files_place_in_git_is_told_without_secrets(collector: RecordingCollector, workdir: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=x", "-c", "user.email=x@y"]
        return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    (workdir / "flows").mkdir()
    (workdir / "flows" / "nightly.py").write_text("from emitter import asset\n\n@asset\ndef one(): return 1\n")
    git("init", "-q", "-b", "main")
    git("remote", "add", "origin", "https://user:secret@github.com/shop/data.git")
    git("add", ".")
    git("commit", "-q", "-m", "x")
    commit = git("rev-parse", "HEAD")
    materialize(load_pipeline("flows/nightly.py"), collector=collector.url)
    place = collector.events.ending("one")["job"]["facets"]["sourceCodeLocation"]
    assert place["url"] == f"https://github.com/shop/data/blob/{commit}/flows/nightly.py#L3"
    assert (place["repoUrl"], place["path"]) == ("https://github.com/shop/data", "flows/nightly.py")
    assert (place["type"], place["version"], place["branch"]) == ("git", commit, "main")
    assert "secret" not in str(collector.events)


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/shop/data.git", "https://github.com/shop/data"),
        ("https://user:secret@git.example.com:8443/shop/data", "https://git.example.com:8443/shop/data"),
        ("git@github.com:shop/data.git", "https://github.com/shop/data"),
        ("ssh://git@git.example.com:2222/shop/data.git", "https://git.example.com/shop/data"),
        ("/srv/git/data.git", None),
        ("file:///srv/git/data.git", None),
        ("../data", None),
        ("C:\\data", None),
        ("https://[bad", None),
        ("", None),
    ],
)
def test_a_remote_has_a_web_address_without_secrets(remote: str, address: str | None) -> None:
    assert web_address(remote) == address
