"""Columns that nobody told of, read from the SQL of the jobs that make them."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event as sqlalchemy_event

from collector import derived_columns
from collector.api.store import EXTENSION
from tests.collector.answers import get, get_text, parsed
from tests.collector.events import JSON, columns, dataset, dataset_event, facet, job_event, raw, run_event, schema
from tests.collector.real_events import DBT

LINEAGE = "/api/v1/lineage"
ORDERS = dataset("shop.public.orders", schema=schema("id", "Amount", "customer"))
CUSTOMERS = dataset("shop.public.customers", schema=schema("id", "name"))
REVENUE = dataset("shop.public.revenue", schema=schema("who", "total"))


@pytest.fixture
def client(emptied: FlaskClient) -> FlaskClient:
    """A client of an empty collector, on each engine."""
    return emptied


def store(client: FlaskClient, *events: JSON) -> None:
    for one in events:
        assert client.post(LINEAGE, data=raw(one)).status_code == 201


def sql(query: str, dialect: str | None = None) -> JSON:
    """The facets of a job with this SQL."""
    return {"sql": facet(query=query, **({"dialect": dialect} if dialect else {}))}


def job(
    query: str,
    dialect: str | None = None,
    inputs: tuple[str | JSON, ...] = (ORDERS, CUSTOMERS),
    outputs: tuple[str | JSON, ...] = (REVENUE,),
    **more: Any,
) -> JSON:
    return run_event(inputs=inputs, outputs=outputs, job_facets=sql(query, dialect), **more)


def edges(client: FlaskClient, node: str, way: str = "upstream", depth: int = 20) -> dict[str, str]:
    """How each ``origin > destination`` is made and known, between columns; ``*`` is a dataset as a whole."""
    answer = get(client, f"{LINEAGE}/{way}", nodeId=node, granularity="column", depth=depth)
    found = {}
    for edge in answer["edges"]:
        ways = "+".join(sorted(one["subtype"] for one in edge.get("transformations", ()))) or "?"
        found[f"{_short(edge['origin'])} > {_short(edge['destination'])}"] = f"{ways} {edge['evidence']}"
    return found


def _short(node_id: str) -> str:
    path, _, column = node_id.rpartition(":") if node_id.startswith("datasetField:") else (node_id, "", "*")
    return f"{path.rpartition(':')[2].rpartition('.')[2]}.{column}"


def derived(client: FlaskClient, node: str = "dataset:data:shop.public.revenue") -> dict[str, str]:
    """What is derived upstream of a dataset; what shapes its rows is told of the whole, not of each column again."""
    found = edges(client, node)
    assert all(how.endswith(" derived") for how in found.values()), found
    ways = {edge: how.removesuffix(" derived").split("+") for edge, how in found.items()}
    own = {edge: [one for one in how if edge.endswith("*") or one in KINDS] for edge, how in ways.items()}
    return {edge: "+".join(how) for edge, how in own.items() if how}


KINDS = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")
WHO, TOTAL = {"customers.name > revenue.who": "IDENTITY"}, {"orders.Amount > revenue.total": "AGGREGATION"}
JOINED = {"orders.customer > revenue.*": "JOIN", "customers.id > revenue.*": "JOIN"}
GROUPED = {"customers.name > revenue.*": "GROUP_BY"}
SUM = "select c.name as who, sum(o.amount) as total from orders o join customers c on c.id = o.customer group by c.name"
UNNAMED = SUM.replace(" as who", "").replace(" as total", "")
BOTH = {"customers.name > revenue.who": "IDENTITY", "orders.Amount > revenue.total": "IDENTITY"}


@pytest.mark.parametrize(
    ("query", "dialect", "expected"),
    [
        (SUM, None, WHO | TOTAL | JOINED | GROUPED),
        (f"insert into revenue {UNNAMED}", None, WHO | TOTAL | JOINED | GROUPED),
        (f"create table public.revenue as {SUM}", None, WHO | TOTAL | JOINED | GROUPED),
        (f"create or replace view revenue (who, total) as {UNNAMED}", None, WHO | TOTAL | JOINED | GROUPED),
        (f"with x as ({SUM}) insert into shop.public.revenue select * from x", None, WHO | TOTAL | JOINED | GROUPED),
        ("insert into revenue (total, who) select c.id, name from customers c", None,
         {"customers.name > revenue.who": "IDENTITY", "customers.id > revenue.total": "IDENTITY"}),
        ("select name as who into revenue from customers", "postgres", WHO),
        ("select name as who from customers union all select customer from orders", None,
         WHO | {"orders.customer > revenue.who": "IDENTITY"}),
        ("select amount * 2 as total from orders where customer > 1 order by id", None,
         {"orders.Amount > revenue.total": "TRANSFORMATION", "orders.customer > revenue.*": "FILTER",
          "orders.id > revenue.*": "SORT"}),
        ("merge into revenue r using (select id, name from customers) s on r.who = s.name"
         " when matched and s.id > 1 then update set total = s.id"
         " when not matched then insert (who, total) values (s.name, s.id)", None,
         WHO | {"customers.id > revenue.total": "IDENTITY", "customers.id > revenue.*": "FILTER",
                "customers.name > revenue.*": "JOIN"}),
        ("update revenue set total = o.amount from orders o where o.id = revenue.who", None,
         {"orders.Amount > revenue.total": "IDENTITY", "orders.id > revenue.*": "FILTER"}),
        ("update revenue r join orders o on o.id = r.who set r.total = o.amount", "mysql",
         {"orders.Amount > revenue.total": "IDENTITY", "orders.id > revenue.*": "JOIN"}),
        ("create temp table half as select id, amount / 2 as a from orders where customer > 1;"
         "insert into revenue (total) select max(a) from half", None,
         TOTAL | {"orders.customer > revenue.*": "FILTER"}),
        ("delete from revenue; insert into revenue (who) select name from customers; drop table old", None, WHO),
        ("with orders as (select name as who from customers) select who from orders", None, WHO),
        ("with recursive n as (select name as who, id from customers union all select who, id + 1 from n)"
         " select who from n", None, WHO),
        ("SELECT NAME AS WHO, O.AMOUNT AS TOTAL FROM ORDERS O, CUSTOMERS", "snowflake", BOTH),
        ("INSERT INTO `shop.public.revenue` (who) SELECT name FROM `shop.public.customers`", "bigquery", WHO),
        ("INSERT OVERWRITE TABLE revenue PARTITION (total = 1) SELECT name FROM customers", "hive", WHO),
        ("from customers select name as who", "DuckDB", WHO),
        ("select name as who, amount as total from elsewhere e join orders on e.k = id join customers using (id)",
         "no dialect", BOTH | {"orders.id > revenue.*": "JOIN", "customers.id > revenue.*": "JOIN"}),
    ],
)  # fmt: skip
def test_sql_tells_of_columns(client: FlaskClient, query: str, dialect: str | None, expected: dict[str, str]) -> None:
    store(client, job(query, dialect))
    assert derived(client) == expected


@pytest.mark.parametrize(
    "query",
    [
        "",
        "this is no sql (",
        "select {{ x }} from {{ ref('orders') }}",
        "drop table revenue",
        "insert into revenue values (1, 2)",
        "select name as who from elsewhere",
        "insert into elsewhere select name from customers",
        "select id from orders; select id from customers",
        "select * from elsewhere",
        "insert into revenue select * from orders",  # three columns into two
        "explain select 1; vacuum; call p()",
        "\x00\ud800 ' \" ` /* -- $$ ;;",
        "select '" + "a" * 300_000 + "' from orders",
    ],
)
def test_sql_that_cannot_be_followed_tells_nothing(client: FlaskClient, query: str) -> None:
    store(client, job(query.replace("\ud800", "")))
    assert edges(client, "dataset:data:shop.public.revenue") == {}


def test_misshapen_facets_tell_nothing(client: FlaskClient) -> None:
    misshapen: list[JSON] = [{}, {"query": 1}, {"query": None}, {"query": "select 1", "_deleted": True}]
    for number, body in enumerate(misshapen):
        store(client, run_event(run=number + 1, job=f"j{number}", inputs=("a",), outputs=(f"b{number}",),
                                job_facets={"sql": facet(**body)}))  # fmt: skip
        assert edges(client, f"dataset:data:b{number}") == {}


def test_derived_edges_are_walked_both_ways_through_told_ones(client: FlaskClient) -> None:
    told = dataset("report", columnLineage=columns(z=[("shop.public.revenue", "total")]))
    store(client, job(SUM), run_event(run=2, job="report", inputs=("shop.public.revenue",), outputs=(told,)))
    assert edges(client, "datasetField:data:report:z") == {
        "revenue.total > report.z": "? column",
        "orders.Amount > revenue.total": "AGGREGATION derived",
        "orders.customer > revenue.total": "JOIN derived",
        "customers.id > revenue.total": "JOIN derived",
        "customers.name > revenue.total": "GROUP_BY derived",
    }
    assert edges(client, "datasetField:data:shop.public.orders:Amount", "downstream") == {
        "orders.Amount > revenue.total": "AGGREGATION derived",
        "revenue.total > report.z": "? column",
    }
    assert edges(client, "datasetField:data:shop.public.orders:customer", "downstream") == {
        "orders.customer > revenue.*": "JOIN derived",
        "revenue.* > report.z": "? column",
    }


def test_column_lineage_of_the_job_itself_wins(client: FlaskClient) -> None:
    told = dataset("shop.public.revenue", columnLineage=columns(who=[("shop.public.orders", "id")]))
    store(client, job(SUM, outputs=(told,)))
    assert edges(client, "dataset:data:shop.public.revenue") == {"orders.id > revenue.who": "? column"}
    store(client, job("select name as who from customers", run=2, namespace="others"))
    assert edges(client, "dataset:data:shop.public.revenue") == {
        "orders.id > revenue.who": "? column",
        "customers.name > revenue.who": "IDENTITY derived",
    }


def test_explicit_lineage_of_the_job_itself_wins(client: FlaskClient) -> None:
    stated = {"inputs": [{"type": "DATASET", "namespace": "data", "name": "shop.public.orders"}]}
    store(client, job(SUM, outputs=(dataset("shop.public.revenue", lineage=stated),)))
    assert edges(client, "dataset:data:shop.public.revenue") == {}


def test_one_output_may_be_told_and_another_derived(client: FlaskClient) -> None:
    told = dataset("told", columnLineage=columns(x=[("shop.public.orders", "id")]))
    store(client, job("insert into told select id from orders; insert into revenue (who) select name from customers",
                      outputs=(told, REVENUE)))  # fmt: skip
    assert edges(client, "dataset:data:told") == {"orders.id > told.x": "? column"}
    assert derived(client) == WHO


def test_a_name_that_fits_two_datasets_tells_nothing(client: FlaskClient) -> None:
    twice = (dataset("a.customers", schema=schema("name")), dataset("b.customers", schema=schema("name")))
    store(client, job("select name as who from customers", inputs=twice))
    assert edges(client, "dataset:data:shop.public.revenue") == {}
    store(client, job("select name as who from B.Customers", inputs=twice, run=2, time="2026-01-02T00:00:00Z"))
    found = get(client, f"{LINEAGE}/upstream", nodeId="dataset:data:shop.public.revenue", granularity="column")
    assert [edge["origin"] for edge in found["edges"]] == ["datasetField:data:b.customers:name"]


def test_names_that_differ_in_case_only_are_ambiguous(client: FlaskClient) -> None:
    store(client, job("select x as who from Orders", inputs=("Orders", "orders")))
    assert edges(client, "dataset:data:shop.public.revenue") == {}


def test_a_dataset_is_known_by_its_symlinks(client: FlaskClient) -> None:
    link = {"identifiers": [{"namespace": "hive://h", "name": "db.customers", "type": "TABLE"}]}
    path = dataset("warehouse/c-1", symlinks=link, schema=schema("id", "name"))
    store(client, job("select * from db.customers", inputs=(path,)))
    found = get(client, f"{LINEAGE}/upstream", nodeId="dataset:data:shop.public.revenue", granularity="column")
    assert {edge["origin"].rpartition(":")[2] for edge in found["edges"]} == {"id", "name"}


def test_the_newest_schema_and_the_newest_sql_count(client: FlaskClient) -> None:
    store(client, job("select * from customers"))
    assert set(derived(client)) == {"customers.id > revenue.id", "customers.name > revenue.name"}
    store(client, dataset_event(dataset("shop.public.customers", schema=schema("id", "who")), "2026-01-02T00:00:00Z"))
    assert set(derived(client)) == {"customers.id > revenue.id", "customers.who > revenue.who"}
    store(client, job("select name as who from customers", run=2, time="2026-01-03T00:00:00Z"))
    store(client, job("select id as who from customers", run=3, time="2025-01-03T00:00:00Z"))
    assert set(derived(client)) == {"customers.name > revenue.who"}


def test_the_dialect_follows_from_the_namespace(client: FlaskClient) -> None:
    made = {"namespace": "bigquery", "name": "p.d.t", "facets": {}}
    read = {"namespace": "bigquery", "name": "my-project.d.s", "facets": {}}
    store(client, job("select `Col` as x from `my-project.d.s`", inputs=(read,), outputs=(made,)))
    assert edges(client, "dataset:bigquery:p.d.t") == {"s.Col > t.x": "IDENTITY derived"}


def test_a_declared_job_is_read_too(client: FlaskClient) -> None:
    store(
        client, job_event(inputs=(CUSTOMERS,), outputs=(REVENUE,), job_facets=sql("select name as who from customers"))
    )
    assert derived(client) == WHO


@pytest.mark.parametrize("granularity", ["all", "dataset"])
def test_between_datasets_and_jobs_an_edge_is_what_was_declared_never_derived(
    client: FlaskClient, granularity: str
) -> None:
    store(client, job(SUM))
    node = "dataset:data:shop.public.revenue"
    answer = get(client, f"{LINEAGE}/upstream", nodeId=node, granularity=granularity)
    assert {edge["evidence"] for edge in answer["edges"]} == {"declared"}
    narrowed = get(client, f"{LINEAGE}/upstream", nodeId=node, granularity=granularity, evidence="column")
    assert narrowed["edges"] == []
    between_columns = get(client, f"{LINEAGE}/upstream", nodeId=node, granularity="column", evidence="column")
    assert {edge["evidence"] for edge in between_columns["edges"]} == {"derived"}


def test_edge_between_a_dataset_and_a_job_of_several_outputs_is_no_guess(client: FlaskClient) -> None:
    store(client, job(SUM, outputs=(REVENUE, "other")))
    node = "dataset:data:other"
    mixed = get(client, f"{LINEAGE}/upstream", nodeId=node, granularity="all")["edges"]
    flows = get(client, f"{LINEAGE}/upstream", nodeId=node, granularity="dataset")["edges"]
    assert {edge["evidence"] for edge in mixed} == {"declared"}
    assert {edge["evidence"] for edge in flows} == {"inferred"}


def test_column_lineage_in_marquez_shape_says_that_it_is_derived(client: FlaskClient) -> None:
    store(client, job(SUM))
    for node in ("dataset:data:shop.public.revenue", "job:jobs:load", "datasetField:data:shop.public.revenue:total"):
        graph = get(client, "/api/v1/column-lineage", nodeId=node)["graph"]
        (total,) = [one["data"] for one in graph if one["id"] == "datasetField:data:shop.public.revenue:total"]
        assert (total["transformationType"], total["transformationDescription"]) == (
            "DIRECT:AGGREGATION",
            "derived from SQL",
        )
        amount = {
            "namespace": "data",
            "dataset": "shop.public.orders",
            "field": "Amount",
            "transformationType": "DIRECT:AGGREGATION",
            "transformationDescription": "derived from SQL",
        }
        assert amount in [
            {key: value for key, value in one.items() if key != "datasetVersion"} for one in total["inputFields"]
        ]
    graph = get(
        client, "/api/v1/column-lineage", nodeId="datasetField:data:shop.public.orders:Amount", withDownstream=True
    )
    assert "datasetField:data:shop.public.revenue:total" in [one["id"] for one in graph["graph"]]


def test_edges_carry_how_and_diagrams_show_it(client: FlaskClient) -> None:
    store(client, job(SUM))
    query = {"nodeId": "datasetField:data:shop.public.revenue:total", "granularity": "column"}
    found = get(client, f"{LINEAGE}/upstream", **query)["edges"]
    (edge,) = [one for one in found if one["origin"].endswith(":Amount")]
    way = {"type": "DIRECT", "subtype": "AGGREGATION", "description": "derived from SQL", "masking": False}
    assert edge["transformations"] == [way]
    text = get_text(client, f"{LINEAGE}/diagram.mmd", nodeId="dataset:data:shop.public.revenue", granularity="column")
    assert '-.->|"aggregation"|' in text and '-.->|"join"|' in text
    (drawn,) = parsed([text])
    assert drawn.edges


def test_masking_of_told_columns_is_shown(client: FlaskClient) -> None:
    way = {"type": "DIRECT", "subtype": "TRANSFORMATION", "description": "sha256", "masking": True}
    origin = {"namespace": "data", "name": "a", "field": "x", "transformations": [way]}
    store(client, run_event(inputs=("a",), outputs=(dataset("b", columnLineage={"fields": {"y": {"inputFields": [origin]}}}),)))  # fmt: skip  # noqa: E501
    (edge,) = get(client, f"{LINEAGE}/upstream", nodeId="dataset:data:b", granularity="column")["edges"]
    assert edge["transformations"] == [way]
    text = get_text(client, f"{LINEAGE}/diagram.mmd", nodeId="dataset:data:b", granularity="column")
    assert '-->|"masked#44; transformation"|' in text


def test_dbt_models_have_columns_without_dbts_own_word(client: FlaskClient) -> None:
    events = [json.loads(line) for line in DBT.read_bytes().splitlines()]
    for one in events:
        for output in one["outputs"]:
            output["facets"].pop("columnLineage", None)
    store(client, *events)
    found = derived(client, "dataset:duckdb:///data/library.duckdb:library.main.popular_shelves")
    assert found == {
        "stg_books.shelf > popular_shelves.shelf": "IDENTITY",
        "stg_loans.member_id > popular_shelves.borrowers": "AGGREGATION",
        "stg_books.book_id > popular_shelves.*": "JOIN",
        "stg_loans.book_id > popular_shelves.*": "JOIN",
        "stg_books.shelf > popular_shelves.*": "GROUP_BY",
    }


def test_without_sqlglot_nothing_is_derived(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    store(client, job(SUM))
    monkeypatch.setitem(sys.modules, "collector.sql_script", None)
    monkeypatch.delattr("collector.sql_script", raising=False)
    assert edges(client, "dataset:data:shop.public.revenue") == {}


# a stop within a callback of the garbage collector, such as hypothesis has, is lost and told again: test_deadline.py
@pytest.mark.filterwarnings("ignore:(?s).*deadline._Stop:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "query",
    [
        "select " + "+".join(["amount"] * 30_000) + " as total from orders",  # takes sqlglot minutes
        "select " + "(" * 5_000 + "amount" + ")" * 5_000 + " as total from orders",
        "select " + "not " * 40_000 + "amount as total from orders",
        "with a0 as (select * from orders)"
        + "".join(f", a{i} as (select x.*, y.* from a{i - 1} x, a{i - 1} y)" for i in range(1, 40))
        + " select * from a39",
        "select amount as x0" + "".join(f", x{i - 1} + x{i - 1} as x{i}" for i in range(1, 60)) + " from orders",
        "select * from orders" + "".join(f" natural join orders o{i}" for i in range(2_000)),
    ],
    ids=["sum", "brackets", "not", "stars", "aliases", "joins"],
)
def test_hostile_sql_costs_a_reader_seconds_at_most(client: FlaskClient, query: str) -> None:
    store(client, job(query))
    start = time.monotonic()
    edges(client, "dataset:data:shop.public.revenue")
    assert time.monotonic() - start < 6 * derived_columns.MAX_SECONDS
    start = time.monotonic()
    edges(client, "dataset:data:shop.public.revenue")
    assert time.monotonic() - start < derived_columns.MAX_SECONDS  # it is not tried again


def test_cte_that_doubles_its_columns_uses_is_followed_in_linear_time(client: FlaskClient) -> None:
    steps = "".join(f", b{i} as (select x.v + y.v as v from b{i - 1} x cross join b{i - 1} y)" for i in range(1, 30))
    store(client, job(f"with b0 as (select amount as v from orders){steps} select v as total from b29"))
    assert derived(client) == {"orders.Amount > revenue.total": "TRANSFORMATION"}


def test_sql_is_parsed_once(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    inner = derived_columns._derive

    def noted(script: Any, sql: str, *more: Any) -> Any:
        read.append(sql)
        return inner(script, sql, *more)

    monkeypatch.setattr(derived_columns, "_derive", noted)
    store(client, *(job(f"select name as who from customers -- {time.time_ns()}", job=f"j{n}", run=n) for n in (1, 2)))
    for _ in range(3):
        assert derived(client) == WHO
    assert len(read) == 2


def test_what_is_kept_is_bounded() -> None:
    kept = derived_columns._Kept(10)
    for number in range(100):
        kept.put(bytes([number]), [(number,)] * 4)
    assert kept.get(b"\x00") is None and kept.get(bytes([99])) == [(99,)] * 4
    assert len(kept._found) == 2


@pytest.mark.parametrize("with_sql", [False, True])
def test_a_level_costs_a_fixed_number_of_statements(client: FlaskClient, with_sql: bool) -> None:
    def asked(name: str, count: int) -> int:
        inputs = tuple(dataset(f"{name}{n}", schema=schema("x")) for n in range(count))
        for n, one in enumerate(inputs):
            facets = sql(f"select x from {name}{n}") if with_sql else {}
            store(client, run_event(run=f"{name}{n}", job=f"{name}{n}", inputs=(one,), outputs=(f"{name}-end",),
                                    job_facets=facets))  # fmt: skip
        statements: list[str] = []
        engine = client.application.extensions[EXTENSION].engine
        note = lambda *given: statements.append(given[2])  # noqa: E731
        sqlalchemy_event.listen(engine, "before_cursor_execute", note)
        try:
            found = edges(client, f"dataset:data:{name}-end", depth=1)
        finally:
            sqlalchemy_event.remove(engine, "before_cursor_execute", note)
        assert len(found) == (count if with_sql else 0)
        return len(statements)

    few, many = asked("few", 1), asked("many", 40)
    assert few == many
