"""``headwater impact --diff RANGE``: what Git says has changed, in a real repository."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.commands.changed import asset_of, changed_files, is_range
from tests.cli.test_asking import EVENTS, SHOP, at, printed, run, store, typed

Git = Callable[..., str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, within no repository and with nobody's configuration of Git."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "no-configuration"))
    for name in ("OPENLINEAGE_URL", "HEADWATER_DB", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def git(place: Path) -> Git:
    """Runs Git in a repository with one commit on main, and the branch `change` checked out."""

    def call(*words: str) -> str:
        identity = ["-c", "user.name=x", "-c", "user.email=x@y"]
        done = subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True, cwd=place)
        return done.stdout.strip()

    for path in ("models/orders.sql", "models/daily.sql", "models/weekly.sql", "seeds/eu/countries.csv", "README.md"):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(f"select '{path}'\n")
    call("init", "-q", "-b", "main")
    commit(call)
    call("checkout", "-q", "-b", "change")
    return call


def commit(git: Git) -> None:
    git("add", "--all")
    git("commit", "-q", "-m", "x")


@pytest.fixture
def database(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'lineage.db'}"
    store(url, EVENTS)
    return url


def test_changed_models_and_seeds_stand_for_their_assets(place: Path, git: Git) -> None:
    (place / "models" / "orders.sql").write_text("select 2\n")
    (place / "seeds" / "eu" / "countries.csv").write_text("be\n")
    for other in ("README.md", "models/schema.yml", "data.csv", "flow.py", "seeds.csv"):
        (place / other).write_text("changed\n")
    commit(git)
    assert changed_files("main...HEAD") == changed_files("main..") == ["orders", "countries"]


def test_deleted_file_counts_and_a_renamed_one_by_both_names(place: Path, git: Git) -> None:
    git("rm", "-q", "models/daily.sql")
    git("mv", "models/weekly.sql", "models/monthly.sql")
    commit(git)
    assert changed_files("main...HEAD") == ["daily", "monthly", "weekly"]


def test_three_dots_leave_out_what_the_other_branch_changed_since(place: Path, git: Git) -> None:
    (place / "models" / "orders.sql").write_text("select 2\n")
    commit(git)
    git("checkout", "-q", "main")
    (place / "models" / "daily.sql").write_text("select 2\n")
    commit(git)
    git("checkout", "-q", "change")
    assert changed_files("main...HEAD") == ["orders"]
    assert changed_files("main..HEAD") == ["daily", "orders"]


def test_whole_repository_counts_from_whichever_folder(place: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "models" / "orders.sql").write_text("select 2\n")
    commit(git)
    git("config", "diff.relative", "true")
    monkeypatch.chdir(place / "seeds")
    assert changed_files("HEAD~1..") == ["orders"]


def test_names_that_git_would_quote_come_as_they_are(place: Path, git: Git) -> None:
    for name in ("größe", 'a "b"', "a\tb", "line\nbreak"):
        (place / f"{name}.sql").write_text("select 1\n")
    commit(git)
    assert sorted(changed_files("main...HEAD")) == sorted(["größe", 'a "b"', "a\tb", "line\nbreak"])


def test_comment_is_of_what_the_range_changed(place: Path, git: Git, database: str) -> None:
    (place / "models" / "daily.sql").write_text("select 2\n")
    (place / "models" / "brand_new.sql").write_text("select 2\n")
    (place / "README.md").write_text("changed\n")
    commit(git)
    found = json.loads(printed("impact", "--diff", "main...HEAD", "--format", "json", database=database))
    assert (found["changed"], found["unknown"]) == ([f"{SHOP}:daily"], ["brand_new"])
    assert [one["id"] for one in found["affected"]] == [f"{SHOP}:report", f"{SHOP}:weekly"]
    text = printed("impact", "--diff", "main...HEAD", database=database)
    assert "README" not in text and "1 changed asset touches 2 downstream" in text


def test_range_without_assets_touches_nothing(place: Path, git: Git, database: str) -> None:
    (place / "README.md").write_text("changed\n")
    commit(git)
    assert "### No changed assets\n" in printed("impact", "--diff", "main...HEAD", "--exit-code", database=database)


def test_changed_file_stands_for_every_asset_of_its_name(place: Path, git: Git, database: str) -> None:
    more = [
        run(8, 13, "sell", [at("a.customers")], [at("sold")]),
        run(9, 13, "ask", [at("b.customers")], [at("asked")]),
    ]
    store(database, more)
    (place / "models" / "customers.sql").write_text("select 2\n")
    commit(git)
    found = json.loads(printed("impact", "--diff", "main...HEAD", "--format", "json", database=database))
    assert found["changed"] == [f"{SHOP}:a.customers", f"{SHOP}:b.customers"]
    assert [one["id"] for one in found["affected"]] == [f"{SHOP}:asked", f"{SHOP}:sold"]
    early = ("--as-of", "2026-01-01T06:05:00Z")
    found = json.loads(printed("impact", "--diff", "main...HEAD", "--format", "json", *early, database=database))
    assert (found["changed"], found["unknown"]) == ([], ["customers"])


def test_file_with_dots_in_its_name_is_a_file(place: Path, git: Git, database: str) -> None:
    (place / "main...HEAD").write_text("daily\n")
    found = json.loads(printed("impact", "--diff", "main...HEAD", "--format", "json", database=database))
    assert found["changed"] == [f"{SHOP}:daily"]
    assert not is_range("main...HEAD") and is_range("main..HEAD") and not is_range("-") and not is_range("changed.txt")


@pytest.mark.parametrize(
    ("revisions", "message"),
    [
        ("nothing...HEAD", "'nothing...HEAD' is no file, nor a range that Git knows: bad revision"),
        ("../changed.txt", "'../changed.txt' is no file, nor a range that Git knows"),
        ("main... -- models", "is no file, nor a range"),
        ("--output=stolen..", "'--output=stolen..' is no range of revisions"),
        ("-O..", "'-O..' is no range of revisions"),
    ],
)
def test_range_that_is_none_is_a_usage_error(
    place: Path, git: Git, database: str, revisions: str, message: str
) -> None:
    done = typed("impact", "--diff", revisions, database=database)
    assert done.exit_code == 2, done.output
    assert message in " ".join(done.stderr.split()) and "--diff" in done.stderr
    assert sorted(one.name for one in place.iterdir()) == [".git", "README.md", "models", "seeds"]


def test_branches_without_a_common_commit_are_told(place: Path, git: Git, database: str) -> None:
    git("checkout", "-q", "--orphan", "alone")
    git("rm", "-q", "-f", "README.md")
    commit(git)
    done = typed("impact", "--diff", "main...HEAD", database=database)
    assert done.exit_code == 2 and "no merge base" in " ".join(done.stderr.split())


def test_range_outside_a_repository_is_a_usage_error(place: Path, database: str) -> None:
    done = typed("impact", "--diff", "main...HEAD", database=database)
    assert done.exit_code == 2
    assert "no Git repository is here: not a git repository" in " ".join(done.stderr.split())


def test_range_without_git_is_a_usage_error(place: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(place))
    done = typed("impact", "--diff", "main...HEAD", database=database)
    assert done.exit_code == 2
    assert "A range needs Git, which cannot be run: No such file" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("models/staging/stg_orders.sql", "stg_orders"),
        ("orders.v2.sql", "orders.v2"),
        ("shop/seeds/countries.csv", "countries"),
        ("countries.csv", None),
        ("seeds/properties.yml", None),
        ("flows/orders.py", None),
        ("dataset:file:///data/seeds/countries.csv", None),
        ("", None),
    ],
)
def test_which_files_stand_for_an_asset(path: str, name: str | None) -> None:
    assert asset_of(path) == name
