"""Real dbt (duckdb) builds a real project and `dbt-ol` posts to a running collector; then we ask the collector."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from .servers import running_collector

ROOT = Path(__file__).resolve().parents[2]
PROJECT = Path(__file__).parent / "dbt_project"
DBT_OL = ROOT / ".venv-dbt" / "bin" / "dbt-ol"
JOBS = "library"  # the jobs' namespace: OPENLINEAGE_NAMESPACE
STAGING = {"library.main.stg_books", "library.main.stg_loans", "library.main.stg_members"}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not DBT_OL.exists(), reason="no real dbt here: run `make .venv-dbt/.ready`"),
]


@dataclass(frozen=True)
class Warehouse:
    """A collector and the duckdb file that dbt builds into."""

    url: str
    folder: Path

    @property
    def datasets(self) -> str:
        """The datasets' namespace, as openlineage-dbt makes it from the duckdb file."""
        return f"duckdb://{self.folder / 'library.duckdb'}"

    def build(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Runs `dbt-ol [options] build` without telemetry; both of its outputs are captured as text."""
        environment = {
            "PATH": f"{DBT_OL.parent}{os.pathsep}{os.environ['PATH']}",  # dbt-ol starts `dbt` by name
            "HOME": str(self.folder),
            "DBT_DUCKDB_PATH": str(self.folder / "library.duckdb"),
            "DBT_PROFILES_DIR": ".",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DO_NOT_TRACK": "1",
            "OPENLINEAGE_URL": self.url,
            "OPENLINEAGE_NAMESPACE": JOBS,
        }
        return subprocess.run(
            [str(DBT_OL), *options, "build"],
            cwd=self.folder / "project",
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def get(self, path: str, **query: Any) -> Any:
        answer = requests.get(f"{self.url}/api/v1{path}", params=query, timeout=10)
        assert answer.status_code == 200, f"{answer.url}: {answer.status_code} {answer.text}"
        return answer.json()

    def dataset(self, name: str) -> Any:
        return self.get(f"/namespaces/{quote(self.datasets, safe='')}/datasets/{quote(name, safe='')}")

    def upstream(self, node_id: str, granularity: str) -> set[str]:
        """Ids of every node upstream of `node_id`."""
        answer = self.get("/lineage/upstream", nodeId=node_id, granularity=granularity)
        assert answer["truncated"] is False
        return {node["id"] for node in answer["nodes"]} - {node_id}


def open_warehouse(folder: Path) -> Iterator[Warehouse]:
    shutil.copytree(PROJECT, folder / "project")
    with running_collector(folder) as url:
        yield Warehouse(url, folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """The project built once; every question below is asked of this one collector."""
    for warehouse in open_warehouse(tmp_path_factory.mktemp("dbt")):
        done = warehouse.build()
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Emitted 22 OpenLineage events" in done.stdout + done.stderr
        yield warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    yield from open_warehouse(tmp_path)


def test_lineage_graph_holds_the_models_and_their_jobs(built: Warehouse) -> None:
    mart = f"dataset:{built.datasets}:library.main.loan_history"
    graph = {node["id"]: node for node in built.get("/lineage", nodeId=mart, depth=20)["graph"]}
    job = f"job:{JOBS}:library.main.library.loan_history.build.run"

    assert list(graph) == sorted(graph)
    assert graph[mart]["type"] == "DATASET"
    assert graph[mart]["data"]["namespace"] == built.datasets
    assert graph[mart]["data"]["name"] == "library.main.loan_history"
    assert {"origin": job, "destination": mart} in graph[mart]["inEdges"]

    assert graph[job]["type"] == "JOB"
    assert graph[job]["data"]["latestRun"]["state"] == "COMPLETED"
    assert graph[job]["outEdges"] == [{"origin": job, "destination": mart}]
    staging_nodes = {f"dataset:{built.datasets}:{name}" for name in STAGING}
    assert {edge["origin"] for edge in graph[job]["inEdges"]} == staging_nodes

    # The other mart hangs on the same staging models, so it is in this graph; so are the jobs that test them.
    assert f"dataset:{built.datasets}:library.main.popular_shelves" in graph
    assert f"job:{JOBS}:library.main.library.stg_books.build.test" in graph


def test_upstream_of_a_mart_is_its_staging_models(built: Warehouse) -> None:
    mart = f"dataset:{built.datasets}:library.main.popular_shelves"
    above = built.upstream(mart, "dataset")
    expected = {f"dataset:{built.datasets}:library.main.{name}" for name in ("stg_books", "stg_loans")}
    assert expected <= above
    assert f"dataset:{built.datasets}:library.main.stg_members" not in above


def test_upstream_of_a_column_reaches_the_seed_that_only_column_lineage_names(built: Warehouse) -> None:
    above = built.upstream(f"datasetField:{built.datasets}:library.main.loan_history:title", "column")
    assert f"datasetField:{built.datasets}:library.main.stg_books:title" in above
    assert f"datasetField:{built.datasets}:library.main.books:title" in above
    assert f"datasetField:{built.datasets}:library.main.stg_loans:status" not in above


def test_columns_have_types_and_descriptions(built: Warehouse) -> None:
    answer = built.dataset("library.main.stg_books")
    assert [(field["name"], field["type"], field["description"]) for field in answer["fields"]] == [
        ("book_id", "integer", "The book's number."),
        ("title", "varchar", "The title on the spine."),
        ("shelf", "varchar", "Where the book stands."),
    ]
    assert answer["facets"]["documentation"]["description"] == "Books, with names that say what an id is."
    assert set(answer["facets"]["columnLineage"]["fields"]) == {"book_id", "title", "shelf"}


def test_results_of_all_four_kinds_of_test_are_found(built: Warehouse) -> None:
    found = {
        (assertion["assertion"], assertion.get("column")): assertion["success"]
        for name in STAGING
        for assertion in built.dataset(name)["facets"]["dataQualityAssertions"]["assertions"]
    }
    assert found[("unique", "loan_id")] is True
    assert found[("not_null", "member_id")] is True
    assert found[("accepted_values", "shelf")] is True
    assert found[("relationships", "book_id")] is True
    assert all(found.values())


def test_a_failing_test_is_found_and_the_graph_keeps_what_was_built(warehouse: Warehouse) -> None:
    first = warehouse.build()
    assert first.returncode == 0, first.stdout + first.stderr
    seed = warehouse.folder / "project" / "seeds" / "books.csv"
    seed.write_text(seed.read_text().replace("Small Engines,repair", "Small Engines,poetry"))

    second = warehouse.build()

    assert second.returncode == 1, second.stdout + second.stderr
    assertions = warehouse.dataset("library.main.stg_books")["facets"]["dataQualityAssertions"]["assertions"]
    failed = [assertion for assertion in assertions if not assertion["success"]]
    assert [(assertion["assertion"], assertion["column"]) for assertion in failed] == [("accepted_values", "shelf")]
    # dbt skipped the marts this time; the runs that built them still say where they came from.
    above = warehouse.upstream(f"dataset:{warehouse.datasets}:library.main.loan_history", "dataset")
    assert {f"dataset:{warehouse.datasets}:{name}" for name in STAGING} <= above


def test_structured_logs_give_the_seeds_their_own_jobs(warehouse: Warehouse) -> None:
    done = warehouse.build("--consume-structured-logs")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Emitted 176 OpenLineage events" in done.stdout + done.stderr
    above = warehouse.upstream(f"job:{JOBS}:model.library.loan_history", "job")
    staging = {f"job:{JOBS}:model.library.{name}" for name in ("stg_books", "stg_loans", "stg_members")}
    seeds = {f"job:{JOBS}:seed.library.{name}" for name in ("books", "loans", "members")}
    assert staging | seeds <= above
