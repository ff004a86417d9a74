"""``headwater provenance|impact|stale|paths|diff --from``: of a collector's database, and of a collector."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from markdown_it import MarkdownIt

import headwater as command_line
from collector.api.store import EXTENSION
from collector.app import create_app
from collector.commands.asking import _best
from collector.pull_request import MAX_COMMENT, Change, code, comment
from tests.cli.conftest import Headwater, failed_with
from tests.collector.patience import patient_session
from tests.mermaid_parser import parse_all

JSON = dict[str, Any]
QUESTIONS = ("provenance", "impact", "stale")
HOSTILE = [
    "a|b",
    "`tick`",
    "@octocat",
    "<img src=x onerror=alert(1)>",
    "[x](http://e.example)",
    "#12 **b** _i_",
    "x\\|y",
]


def run(number: int, minute: int, job: str, reads: list[JSON], writes: list[JSON]) -> JSON:
    """A run that completed, on the hour and so many minutes."""
    return {
        "eventTime": f"2026-01-01T06:{minute:02}:00Z",
        "eventType": "COMPLETE",
        "producer": "https://example.com/test",
        "run": {"runId": f"00000000-0000-4000-8000-{number:012}"},
        "job": {"namespace": "shop", "name": job},
        "inputs": reads,
        "outputs": writes,
    }


def at(name: str, version: str | None = None) -> JSON:
    facet = {"_producer": "https://example.com/test", "_schemaURL": "https://example.com/x", "datasetVersion": version}
    return {"namespace": "s3://lake", "name": name, "facets": {"version": facet} if version else {}}


#: orders v1 went into daily d1, report and weekly; orders v2 came later, and only daily was made again from it.
EVENTS = [
    run(1, 0, "load", [], [at("raw/orders.parquet", "v1")]),
    run(2, 1, "daily", [at("raw/orders.parquet", "v1")], [at("daily", "d1")]),
    run(3, 2, "report", [at("daily", "d1")], [at("report", "r1")]),
    run(4, 3, "weekly", [at("daily", "d1")], [at("weekly", "w1")]),
    run(5, 10, "load", [], [at("raw/orders.parquet", "v2")]),
    run(6, 11, "daily", [at("raw/orders.parquet", "v2")], [at("daily", "d2")]),
    run(7, 12, "alone", [], [at("a.customers"), at("b.customers")]),
]
SHOP = "dataset:s3://lake"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENLINEAGE_URL", "HEADWATER_DB"):
        monkeypatch.delenv(name, raising=False)


def store(database: str, events: list[JSON]) -> None:
    app = create_app(database)
    held = app.extensions[EXTENSION]
    answer = app.test_client().post("/api/v1/lineage/batch", json=events)
    assert answer.get_json()["summary"]["failed"] == 0
    held.writer.close()
    held.engine.dispose()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A collector's database that holds EVENTS."""
    url = f"sqlite:///{tmp_path_factory.mktemp('asking') / 'lineage.db'}"
    store(url, EVENTS)
    return url


def typed(*words: str, database: str | None = None, text: str | None = None) -> Result:
    where = ["--db", database] if database else []
    return CliRunner().invoke(command_line.main, [*words, *where], input=text)


def printed(*words: str, database: str, text: str | None = None, code: int = 0) -> str:
    done = typed(*words, database=database, text=text)
    assert done.exit_code == code, done.output
    return done.stdout


def rows(table: str) -> list[list[str]]:
    return [re.split(r" {2,}", line.strip()) for line in table.partition("\n\n")[0].splitlines()]


# --- the questions ---------------------------------------------------------------------------------------------------


def test_provenance_lists_what_a_version_was_made_from(database: str) -> None:
    out = printed("provenance", "report", database=database)
    assert [row[:5] for row in rows(out)] == [
        ["steps", "dataset", "version", "made at", "by job"],
        ["0", "report", "r1", "2026-01-01T06:02:00Z", "report"],
        ["1", "daily", "d1", "2026-01-01T06:01:00Z", "daily"],
        ["2", "raw/orders.parquet", "v1", "2026-01-01T06:00:00Z", "load"],
    ]
    assert out.count("exact, declared") == 2 and "\x1b" not in out


def test_source_was_made_from_nothing(database: str) -> None:
    assert "made from nothing" in printed("provenance", "orders", database=database)


def test_impact_lists_what_was_made_and_what_to_run_again(database: str) -> None:
    out = printed("impact", "orders#v1", database=database)
    assert [row[1] for row in rows(out)[1:]] == ["raw/orders.parquet", "daily", "report", "weekly"]
    assert re.findall(r"^ +(\d\. \w+)", out, re.MULTILINE) == ["1. report", "2. weekly"]  # daily was made again already
    assert "superseded" in out and "2026-01-01T06:11:00Z" in out
    assert "Nothing was made from it" in printed("impact", "report", database=database)


@pytest.mark.parametrize(("version", "answer"), [("v1", "Yes"), ("v2", "No")])
def test_impact_on_another(database: str, version: str, answer: str) -> None:
    asked = ("impact", f"orders#{version}", "--on", "report")
    assert printed(*asked, database=database).startswith(f"{answer}: that version of raw/orders.parquet")
    found = json.loads(printed(*asked, "--format", "json", "--exit-code", database=database, code=int(answer == "Yes")))
    assert found["affected"] is (answer == "Yes")


def test_stale_says_which_because_of_what_and_since_when(database: str) -> None:
    out = printed("stale", "orders", database=database)
    states = {row[1]: row[2:] for row in rows(out)[1:]}
    assert states["raw/orders.parquet"] == states["daily"] == ["up to date"]
    assert states["report"][:2] == ["stale", "2026-01-01T06:11:00Z"]
    assert re.fullmatch(r"daily changed \(read …\w{8}, now …\w{8}\)", states["report"][2])
    assert out.endswith("2 of 4 datasets are stale.\n")


def test_exit_code_of_stale_is_for_scripts(database: str) -> None:
    assert typed("stale", "orders", "--exit-code", database=database).exit_code == 1
    assert typed("stale", "orders", "--exit-code", "--as-of", "2026-01-01T06:05Z", database=database).exit_code == 0
    assert typed("stale", "orders", "--exit-code", "--depth", "1", database=database).exit_code == 0


def test_paths(database: str) -> None:
    out = printed("paths", "orders", "report", database=database)
    assert rows(out)[1] == ["1", "4", "raw/orders.parquet → daily → daily → report → report", "declared"]
    short = printed("paths", "orders", "report", "--granularity", "dataset", database=database)
    assert rows(short)[1][2] == "raw/orders.parquet → daily → report"
    assert printed("paths", "report", "orders", database=database).startswith("No path leads from")


def test_paths_of_a_moment(database: str) -> None:
    ends = ("paths", "orders", "report", "--granularity", "dataset")
    out = printed(*ends, "--as-of", "2026-01-01T06:05:00Z", database=database)
    assert rows(out)[1][2] == "raw/orders.parquet → daily → report"
    none = printed("paths", "report", "orders", "--as-of", "2026-01-01T06:05:00Z", database=database)
    assert none.startswith("No path leads from")
    early = typed(*ends, "--as-of", "2026-01-01T06:01:30Z", database=database)
    assert early.exit_code == 1 and "Nothing was known of 'report' at that moment" in early.stderr
    drawn = typed(*ends, "--known-at", "2000-01-01", "--format", "mermaid", database=database)
    assert drawn.exit_code == 1 and "Nothing was known of 'raw/orders.parquet'" in drawn.stderr


def test_diff_between_two_moments(database: str) -> None:
    between = ("--from", "2026-01-01T06:02:30", "--to", "2026-01-01T06:11:30")
    found = rows(printed("diff", "daily", *between, database=database))
    assert ["added", "dataset", "weekly"] in found and ["added", "edge", "daily → weekly"] in found
    changed = {row[2]: row[3] for row in found if row[0] == "changed"}
    assert changed.keys() == {"daily", "raw/orders.parquet"}
    assert re.match(r"version …\w{8} → …\w{8}", changed["daily"])
    assert printed("diff", "daily", "--from", "1h", database=database) == "Nothing changed.\n"
    assert json.loads(printed("diff", "daily", *between, "--json", database=database))["nodes"]["added"]
    known = ("--from", "2000-01-01", "--clock", "known", "--as-of", "2026-01-01T06:00:30")
    assert ["added", "dataset", "raw/orders.parquet"] in rows(printed("diff", "orders", *known, database=database))
    assert typed("diff", "daily", *between, "--known-at", "2000-01-01", database=database).exit_code == 1


@pytest.mark.parametrize("question", QUESTIONS)
def test_moments_are_asked_for(database: str, question: str) -> None:
    out = printed(question, "orders", "--as-of", "2026-01-01T06:05:00Z", database=database)
    assert "d2" not in out
    done = typed(question, "orders", "--known-at", "2000-01-01", database=database)
    assert done.exit_code in (0, 1) and "Traceback" not in done.output


def test_answers_are_drawn(database: str) -> None:
    drawn = [printed(question, "orders", "--format", "mermaid", database=database) for question in QUESTIONS]
    drawn.append(printed("impact", "orders#v1", "--on", "report", "--format", "mermaid", database=database))
    drawn.append(printed("paths", "orders", "report", "--format", "mermaid", database=database))
    drawn.append(printed("diff", "daily", "--from", "2026-01-01T06:02:30", "--format", "mermaid", database=database))
    drawn.append(printed("impact", "--diff", "-", "--format", "mermaid", database=database, text="orders\n"))
    for one in parse_all(drawn):
        assert one.ok and one.nodes, one.error


def test_cut_answers_say_so(database: str) -> None:
    for question in ("impact", "stale"):
        assert "more, at least, were cut off" in printed(question, "orders", "--limit", "1", database=database)


def test_provenance_is_prov_json_too(database: str) -> None:
    assert json.loads(printed("provenance", "report", "--format", "prov", database=database))["wasDerivedFrom"]


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    ["raw/orders.parquet", "orders", "ORDERS", "orders.parquet", f"{SHOP}:raw/orders.parquet"],
)
@pytest.mark.parametrize("version", ["", "#v1", "@2026-01-01T06:05:00Z", "#@2026-01-01T06:05:00Z"])
def test_short_names(database: str, word: str, version: str) -> None:
    found = json.loads(printed("provenance", word + version, "--format", "json", database=database))
    assert [(one["name"], one["version"]) for one in found["versions"]] == [
        ("raw/orders.parquet", "v1" if version else "v2")
    ]


def test_strictest_sense_of_a_name_counts() -> None:
    hits = {
        "1": "x/orders",
        "2": "orders",
        "3": "Orders",
        "4": "x/orders.csv",
        "5": "db.public.orders",
        "6": "my_orders",
    }

    def best(*ids: str, name: str = "orders") -> list[str]:
        return _best(name, {one: hits[one] for one in ids})

    assert best(*hits) == ["2"]
    assert best("1", "3", "4", "5", "6") == ["3"]
    assert best("1", "4", "5", "6") == ["1"]
    assert best("4", "5", "6") == ["4"]
    assert best("5", "6") == ["5"]
    assert best("6") == []
    assert best(*hits, name="public.orders") == ["5"]
    assert best(*hits, name="x/orders.csv") == ["4"]


def test_name_that_may_be_several_is_a_usage_error_with_the_candidates(headwater: Headwater, database: str) -> None:
    message = failed_with(headwater("provenance", "customers", "--db", database), 2)
    assert f"{SHOP}:a.customers" in message and f"{SHOP}:b.customers" in message


def test_what_is_not_known_is_one_line(headwater: Headwater, database: str) -> None:
    message = failed_with(headwater("impact", "ordrs", "--db", database), 1)
    assert message.count("\n") == 1 and "knows no dataset 'ordrs'" in message
    assert "has no version 'v9'" in failed_with(headwater("impact", "orders#v9", "--db", database), 1)
    assert "had no version at 2020" in failed_with(headwater("provenance", "orders@2020-01-01", "--db", database), 1)
    assert "not found" in failed_with(headwater("stale", f"{SHOP}:nothing", "--db", database), 1)
    assert "no dataset or job 'x'" in failed_with(headwater("paths", "x", "orders", "--db", database), 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["provenance"], "Missing argument 'NODE'"),
        (["provenance", "job:shop:daily"], "starts with job:"),
        (["provenance", "dataset:x"], "lacks a part"),
        (["provenance", "orders", "--as-of", "soon"], "'--as-of': 'soon' is not an ISO-8601 time"),
        (["provenance", "orders", "--depth", "-1"], "--depth"),
        (["provenance", "orders", "--format", "svg"], "--format"),
        (["impact"], "Say what changed"),
        (["impact", "orders", "--diff", "-"], "one of the two"),
        (["impact", "--diff", "no-such-file"], "--diff"),
        (["impact", "--diff", "-", "--on", "orders"], "--on asks about one version"),
        (["impact", "orders", "--on", "report", "--depth", "1"], "--on lists nothing"),
        (["impact", "orders", "--evidence", "column"], "--evidence goes with --diff"),
        (["stale", "orders", "--collector", "http://127.0.0.1:9"], "one of the two"),
        (["stale", "orders", "--collector", "127.0.0.1"], "no collector's address"),
        (["paths", "orders"], "Missing argument 'TO'"),
        (["diff", "daily", "--to", "1h"], "--from TIME"),
        (["diff", "daily", "previous", "--from", "1h"], "V1 is for the versions"),
        (["diff", "daily", "--from", "1h", "--store", "x.db"], "--store is for the versions"),
        (["diff", "daily", "--from", "1h", "--clock", "wall"], "--clock"),
        (["diff", "daily", "--from", "1h", "--as-of", "1h"], "--known-at holds the other one still"),
        (["diff", "daily", "--from", "1h", "--clock", "known", "--known-at", "1h"], "--as-of holds the other one"),
    ],
)
def test_options_that_do_not_fit(database: str, words: list[str], message: str) -> None:
    done = typed(*words, database=database, text="")
    assert done.exit_code == 2, done.output
    assert message in " ".join(done.stderr.split())


def test_diff_of_two_versions_takes_nothing_of_moments(headwater: Headwater, pipeline: Path) -> None:
    for version in ("2", "3"):
        pipeline.write_text(re.sub(r'version="\d"', f'version="{version}"', pipeline.read_text()))
        assert headwater("run", "pipeline.py").returncode == 0
    assert "version" in headwater("diff", "orders").stdout
    assert json.loads(headwater("diff", "orders", "--format", "json").stdout)["changes"]["version"]
    assert "no graph" in failed_with(headwater("diff", "orders", "--format", "mermaid"), 2)


# --- whom it asks ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told(collector: str) -> str:
    """The collector, with EVENTS under names of this module's own."""
    events = json.loads(json.dumps(EVENTS).replace("s3://lake", "s3://asking").replace('"shop"', '"asking"'))
    assert patient_session().post(f"{collector}/api/v1/lineage/batch", json=events, timeout=30).status_code == 200
    return collector


@pytest.mark.parametrize("question", QUESTIONS)
def test_collector_and_database_answer_alike(headwater: Headwater, told: str, database: str, question: str) -> None:
    asked = (
        [question, "dataset:s3://asking:daily#d1"] if question != "stale" else [question, "dataset:s3://asking:daily"]
    )
    over_http = headwater(*asked, "--collector", told)
    assert over_http.returncode == 0, over_http.stderr
    in_process = printed(asked[0], asked[1].replace("asking", "lake"), database=database)
    assert unmarked(over_http.stdout) == unmarked(in_process)


def test_collector_of_the_environment_is_asked(headwater: Headwater, told: str, database: str) -> None:
    word = "dataset:s3://asking:report"
    assert headwater("provenance", word, OPENLINEAGE_URL=told).returncode == 0
    assert headwater("provenance", f"{SHOP}:report", "--db", database, OPENLINEAGE_URL=told).returncode == 0


def test_collector_that_is_not_there(headwater: Headwater) -> None:
    message = failed_with(headwater("stale", "orders", "--collector", "http://127.0.0.1:9"), 1)
    assert message.startswith("http://127.0.0.1:9 cannot be reached (Connection refused)")
    assert "no database" in failed_with(headwater("stale", "orders"), 1)


def test_address_of_something_else(headwater: Headwater, told: str) -> None:
    message = failed_with(headwater("stale", "orders", "--collector", f"{told}/nowhere"), 1)
    assert "answered 404" in message and "is the address right?" in message


def unmarked(text: str) -> str:
    """Without the marks of versions, which differ with the names."""
    return re.sub(r"…\w{8}", "…", text)


# --- the comment on a pull request -----------------------------------------------------------------------------------


def test_comment_has_a_headline_a_table_and_a_diagram(database: str) -> None:
    text = printed("impact", "--diff", "-", database=database, text="# changed\norders\n\nmodels/new_model.sql\n")
    assert text.startswith("<!-- headwater impact -->\n\n### 1 changed asset touches 3 downstream\n")
    assert "Changed: `raw/orders.parquet`." in text
    assert "nothing is said of them: `new_model`." in text
    assert cells(text) == [
        ["daily", "s3://lake", "daily", "1"],
        ["report", "s3://lake", "report", "2"],
        ["weekly", "s3://lake", "weekly", "2"],
    ]
    diagram = diagrams(text)
    assert [label for label in diagram.labels.values() if "orders" in label] and len(diagram.edges) == 3


def test_changed_assets_may_be_ids_jobs_and_sql_files(database: str, tmp_path: Path) -> None:
    file = tmp_path / "changed.txt"
    file.write_text(f"{SHOP}:raw/orders.parquet\nload\nmodels/daily.sql\ndaily\n")
    found = json.loads(printed("impact", "--diff", str(file), "--format", "json", database=database))
    assert found["changed"] == [f"{SHOP}:raw/orders.parquet", f"{SHOP}:daily"]
    assert [one["id"] for one in found["affected"]] == [f"{SHOP}:report", f"{SHOP}:weekly"]
    assert {one["distance"] for one in found["affected"]} == {1}


def test_comment_as_of_a_moment(database: str) -> None:
    asked = ("impact", "--diff", "-", "--format", "json", "--as-of", "2026-01-01T06:01:30Z")
    found = json.loads(printed(*asked, database=database, text="orders"))
    assert [one["id"] for one in found["affected"]] == [f"{SHOP}:daily"]


@pytest.mark.parametrize(
    ("names", "headline"),
    [
        ("", "No changed assets"),
        ("nothing\n", "No changed asset is known to the collector"),
        ("report\n", "Nothing is made from the 1 changed asset"),
    ],
)
def test_comment_where_nothing_is_touched(database: str, names: str, headline: str) -> None:
    text = printed("impact", "--diff", "-", "--exit-code", database=database, text=names)
    assert f"### {headline}\n" in text and "mermaid" not in text
    assert typed("impact", "--diff", "-", "--exit-code", database=database, text="orders").exit_code == 1


def test_hostile_names_are_shown_to_the_letter(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'lineage.db'}"
    store(url, [run(n, n, name, [at("start")], [at(name)]) for n, name in enumerate(HOSTILE)])
    text = printed("impact", "--diff", "-", database=url, text="start\n")
    assert sorted(row[0] for row in cells(text)) == sorted(HOSTILE)
    html = MarkdownIt("commonmark").enable("table").render(text)
    assert "<img" not in html and "<a " not in html and "<strong>" not in html and "<em>" not in html
    outside = re.sub(r"<code.*?</code>", "", html, flags=re.DOTALL)
    assert "@octocat" not in outside  # nobody is mentioned within code
    assert diagrams(text).ok


@pytest.mark.parametrize("name", ["", " ", "a\nb", "`", "x" * 500, "a\u202eb"])
def test_any_name_is_one_piece_of_code(name: str) -> None:
    html = MarkdownIt("commonmark").enable("table").render(f"|h|\n|-|\n|{code(name)}|\n")
    assert html.count("<code>") == 1 and html.count("<td>") == 1


def answers(size: int, name: str) -> tuple[JSON, JSON]:
    """What `/lineage/downstream` says of a dataset of which so many others are made, each by a job."""
    datasets = [
        {"id": f"dataset:n:{name}{i}", "kind": "dataset", "namespace": "n", "name": f"{name}{i}"} for i in range(size)
    ]
    jobs = [{"id": f"job:n:{name}{i}", "kind": "job", "namespace": "n", "name": f"{name}{i}"} for i in range(1, size)]
    start = datasets[0]["id"]
    nodes = [{**one, "distance": int(one["id"] != start)} for one in datasets]
    to_jobs = [{"origin": start, "destination": job["id"], "evidence": "declared"} for job in jobs]
    made = [
        {"origin": job["id"], "destination": one["id"], "evidence": "declared"}
        for job, one in zip(jobs, datasets[1:], strict=True)
    ]
    between = [{"origin": start, "destination": one["id"], "evidence": "declared"} for one in datasets[1:]]
    everything = {"nodeId": start, "missing": 7, "nodes": [*nodes, *({**job, "distance": 1} for job in jobs)]}
    return {**everything, "edges": [*to_jobs, *made]}, {"nodeId": start, "missing": 7, "nodes": nodes, "edges": between}


@pytest.mark.parametrize("name", ["t", "long_name_of_a_table_" * 10, "|" * 200, "データ" * 60, "😀" * 90])
def test_large_comment_is_within_the_limits_and_says_what_is_missing(name: str) -> None:
    change = Change()
    change.add(*answers(3_000, name))
    text = comment(change)
    assert len(text.encode("utf-16-le")) // 2 <= MAX_COMMENT
    assert "touches 2,999 or more downstream" in text and "At least 7 more are not shown" in text
    shown = len(cells(text))
    assert 0 < shown <= 200 and f"… and {2_999 - shown:,} more, further away." in text
    diagram = diagrams(text)
    assert diagram.ok and len(diagram.edges) <= 500


def cells(text: str) -> list[list[str]]:
    """The table's rows as a reader sees them."""
    html = MarkdownIt("commonmark").enable("table").render(text)
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [plain(cell) for cell in re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL)] for row in body.split("</tr>")[:-1]
    ]


def plain(html: str) -> str:
    from html import unescape

    return unescape(re.sub(r"</?code>", "", html))


def diagrams(text: str) -> Any:
    (found,) = re.findall(r"^```mermaid\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return parse_all([found])[0]


@pytest.fixture
def many(tmp_path: Path) -> Iterator[str]:
    """A database with more datasets of one name than a message lists."""
    url = f"sqlite:///{tmp_path / 'lineage.db'}"
    store(url, [run(n, n, f"job{n}", [], [at(f"{n}/orders")]) for n in range(15)])
    yield url


def test_many_candidates_are_counted(many: str) -> None:
    done = typed("stale", "orders", database=many)
    assert done.exit_code == 2 and "one of 15" in done.stderr and "and 5 more" in done.stderr
