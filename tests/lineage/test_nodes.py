"""Node ids: written as Marquez writes them, and read back however their names look."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.errors import HeadwaterError, InvalidNodeId, UnknownNode
from lineage.nodes import MAX_READINGS, NodeId, NodeKind, candidates, dataset_node, field_node, job_node, parse

# Names as they come: any characters, and often those that node ids are made of.
NAMES = st.text(st.one_of(st.sampled_from(":#/%@. é日😀"), st.characters()), min_size=1, max_size=8)
NODES = st.one_of(
    st.builds(NodeId, st.sampled_from([NodeKind.DATASET, NodeKind.JOB]), NAMES, NAMES, version=st.none() | NAMES),
    st.builds(NodeId, st.just(NodeKind.FIELD), NAMES, NAMES, NAMES, st.none() | NAMES),
    st.builds(NodeId, st.just(NodeKind.RUN), st.just(""), NAMES),
)


@given(NODES)
def test_original_is_among_the_readings_of_its_text(node):
    readings = candidates(str(node))
    assert node in readings
    assert all(str(reading) == str(node) for reading in readings)
    assert len(set(readings)) == len(readings)


@given(NODES)
def test_known_names_decide(node):
    assert parse(str(node), known={node}.__contains__) == node


@given(st.text())
def test_any_text_is_read_or_refused_never_a_crash(text):
    for prefix in ("", "dataset:", "job:", "datasetField:", "run:"):
        try:
            assert candidates(prefix + text)
        except InvalidNodeId as refused:
            assert "node id" in str(refused)


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("dataset:food:orders", dataset_node("food", "orders")),
        ("job:dbt:models.orders", job_node("dbt", "models.orders")),
        ("dataset:postgres://db.example:5432:shop.public.orders",
         dataset_node("postgres://db.example:5432", "shop.public.orders")),
        ("dataset:postgres://db.example:shop.public.orders",
         dataset_node("postgres://db.example", "shop.public.orders")),
        ("dataset:s3://bucket:path/to:odd", dataset_node("s3://bucket", "path/to:odd")),
        ("dataset:file:/tmp/a.csv", dataset_node("file", "/tmp/a.csv")),
        ("dataset:hdfs://nn:8020:/warehouse/t", dataset_node("hdfs://nn:8020", "/warehouse/t")),
        ("dataset:kafka://a:9092,b:9092:topic", dataset_node("kafka://a:9092,b:9092", "topic")),
        ("dataset:postgres://[::1]:5432:db.t", dataset_node("postgres://[::1]:5432", "db.t")),
        ("dataset:sqlserver://h:1433;database=d:dbo.t", dataset_node("sqlserver://h:1433;database=d", "dbo.t")),
        ("dataset:arn:aws:glue:us-east-1:123456789012:table/db/t",
         dataset_node("arn:aws:glue:us-east-1:123456789012", "table/db/t")),
        ("dataset:postgres://host:5432", dataset_node("postgres://host", "5432")),
        ("datasetField:postgres://h:5432:db.t:id", field_node("postgres://h:5432", "db.t", "id")),
        ("datasetField:s3://b:a:b:c", field_node("s3://b", "a:b", "c")),
        ("run:0190d6c4-0000-7000-8000-000000000000", NodeId(NodeKind.RUN, "", "0190d6c4-0000-7000-8000-000000000000")),
        ("run:scheduled:2024", NodeId(NodeKind.RUN, "", "scheduled:2024")),
        ("dataset:food:orders#0190d6c4", NodeId(NodeKind.DATASET, "food", "orders", version="0190d6c4")),
        ("dataset:food:C#", dataset_node("food", "C#")),
        ("dataset:food:track #1 of 9", dataset_node("food", "track #1 of 9")),
        ("datasetField:food:t:c#v1", NodeId(NodeKind.FIELD, "food", "t", "c", "v1")),
    ],
)  # fmt: skip
def test_best_guess(text, node):
    assert parse(text) == node
    assert str(node) == text


@pytest.mark.parametrize(
    "text",
    ["", "dataset", "dataset:", "dataset:a", "dataset::a", "dataset:a:", "datasetField:a:b", "datasetField:a::c",
     "run:", "Dataset:a:b", "table:a:b", "orders"],
)  # fmt: skip
def test_refusal_shows_the_text_and_the_forms(text):
    with pytest.raises(InvalidNodeId) as refused:
        parse(text)
    assert repr(text) in str(refused.value)
    assert "dataset:{namespace}:{name}" in str(refused.value)


def test_unknown_node_is_named():
    with pytest.raises(UnknownNode, match=r"dataset:food:orders.*tried 1"):
        parse("dataset:food:orders", known=lambda node: False)


@pytest.mark.parametrize(
    "text",
    ["dataset:" + "a:" * 100_000 + "b", "datasetField:" + "a:" * 200 + "b", "dataset:a:" + "#a" * 100_000,
     "dataset:" + ":" * 100_000, "run:" + "#" * 100_000],
)  # fmt: skip
def test_id_with_too_many_readings_is_refused_in_a_short_message(text):
    with pytest.raises(InvalidNodeId) as refused:
        candidates(text)
    assert f"at most {MAX_READINGS:,} are tried" in str(refused.value)
    assert len(str(refused.value)) < 1_000


def test_long_hostile_namespaces_are_read_without_backtracking():
    for text in ("a://" + "," * 60_000, "a://" + ",[" * 30_000, "a" * 60_000):
        assert candidates(f"dataset:{text}:x")[-1].name


def test_labels_are_own_names():
    assert dataset_node("a", "b").label == "b"
    assert field_node("a", "b", "c").label == "c"


def test_errors_have_one_root():
    assert issubclass(InvalidNodeId, HeadwaterError) and issubclass(UnknownNode, HeadwaterError)
