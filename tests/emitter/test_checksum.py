"""Checksums of bytes, files, directories and objects."""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import os
import subprocess
import sys
import uuid
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import attr
import numpy as np
import pandas as pd
import pytest
import xxhash
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from emitter import calculate_checksum
from emitter.checksum import digest
from emitter.errors import ChecksumError
from tests.emitter.refusals import refused

ROOT = Path(__file__).parents[2]


def test_bytes_have_the_hash_of_the_bytes() -> None:
    assert calculate_checksum(b"abc") == f"blake3:{blake3(b'abc').hexdigest()}"
    assert calculate_checksum(b"abc", "sha256") == f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    assert calculate_checksum(b"abc", algorithm="xxh3_128") == f"xxh3_128:{xxhash.xxh3_128(b'abc').hexdigest()}"
    assert calculate_checksum(bytearray(b"abc")) == calculate_checksum(memoryview(b"xabcx")[1:4])
    assert calculate_checksum(memoryview(b"a-b-c-")[::2]) == calculate_checksum(b"abc")


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_file_has_the_hash_of_its_bytes(workdir: Path, size: int) -> None:
    data = os.urandom(size)
    path = workdir / "data.bin"
    path.write_bytes(data)
    assert calculate_checksum(path) == calculate_checksum(data)
    assert (digest(path).hashed, digest(path).size) == ("file", size)


def test_a_text_is_a_text_and_no_path(workdir: Path) -> None:
    (workdir / "data.bin").write_bytes(b"abc")
    assert calculate_checksum("data.bin") != calculate_checksum(workdir / "data.bin")


def tree(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_directory_is_known_by_the_names_and_contents_in_it_wherever_it_is(workdir: Path) -> None:
    one = tree(workdir / "one", a="1", sub__b="2")
    two = tree(workdir / "elsewhere" / "two", sub__b="2", a="1")
    os.utime(two / "a", (1, 1))
    (two / "a").chmod(0o600)
    assert calculate_checksum(one) == calculate_checksum(two)
    assert (digest(one).hashed, digest(one).size) == ("directory", 2)


@pytest.mark.parametrize(
    "files",
    [{"a": "1", "sub__b": "3"}, {"a": "1", "sub__c": "2"}, {"a": "1", "b": "2"}, {"a": "1", "sub__b": "2", "c": ""}],
)
def test_another_content_name_or_place_is_another_directory(workdir: Path, files: dict[str, str]) -> None:
    base = tree(workdir / "base", a="1", sub__b="2")
    assert calculate_checksum(tree(workdir / "other", **files)) != calculate_checksum(base)


def test_an_empty_directory_and_a_link_count(workdir: Path) -> None:
    base, empty, link, other_link = (tree(workdir / name, a="1") for name in ("base", "empty", "link", "other"))
    (empty / "sub").mkdir()
    (link / "l").symlink_to("nowhere")
    (other_link / "l").symlink_to("elsewhere")
    assert len({calculate_checksum(one) for one in (base, empty, link, other_link)}) == 4


def test_what_cannot_be_read_has_no_checksum(workdir: Path) -> None:
    with refused(ChecksumError, "no checksum of", "missing: No such file or directory"):
        calculate_checksum(workdir / "missing")
    os.mkfifo(workdir / "pipe")
    with pytest.raises(ChecksumError, match="it is neither a file nor a directory"):
        calculate_checksum(workdir / "pipe")
    with pytest.raises(ChecksumError, match="it is neither a file nor a directory"):
        calculate_checksum(workdir)


def test_an_unknown_algorithm_is_refused() -> None:
    with refused(ChecksumError, "'sha265' is unknown; did you mean 'sha256'?"):
        calculate_checksum(b"", "sha265")
    with pytest.raises(ChecksumError, match="'crc' is unknown; use one of blake3, sha256, xxh3_128"):
        calculate_checksum(b"", "crc")


class Color(Enum):
    RED = 1


class Level(IntEnum):
    LOW = 1


@dataclass
class Point:
    x: int
    y: int


@dataclass
class Spot:
    x: int
    y: int


@attr.define
class Place:
    x: int


Pair = namedtuple("Pair", "x y")

DIFFERENT: list[Any] = [
    None,
    ...,
    True,
    1,
    1.0,
    "1",
    0,
    -1,
    10**30,
    float("nan"),
    float("inf"),
    0.0,
    -0.0,
    1j,
    "",
    "None",
    [],
    (),
    {},
    set(),
    [1],
    (1,),
    {1},
    [[1]],
    [1, [2]],
    [[1], 2],
    ["a", "b"],
    ["ab"],
    {"a": 1},
    {"a": None},
    {1: "a"},
    {"a": 1, "b": 2},
    dt.date(2024, 1, 1),
    dt.datetime(2024, 1, 1),
    dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    dt.time(1),
    dt.timedelta(1),
    decimal.Decimal("1.0"),
    decimal.Decimal("1.00"),
    uuid.UUID(int=1),
    range(1),
    Color.RED,
    Level.LOW,
    Point(1, 2),
    Spot(1, 2),
    Place(1),
    Pair(1, 2),
    (1, 2),
    OrderedDict(a=1),
    np.int64(1),
    np.int32(1),
    np.float64(1),
    np.array([1, 2]),
    np.array([[1, 2]]),
    np.array([1, 2], dtype="int32"),
    np.array([1, "a"], dtype=object),
    pd.DataFrame({"a": [1]}),
    {"a": pd.DataFrame({"a": [1]})},
    [Path("a")],
    ["a"],
]


def test_different_objects_have_different_checksums() -> None:
    found = [calculate_checksum(one) for one in DIFFERENT]
    assert len(set(found)) == len(found)


def test_the_order_of_dicts_and_sets_does_not_matter() -> None:
    assert calculate_checksum({"a": 1, "b": [2]}) == calculate_checksum({"b": [2], "a": 1})
    assert calculate_checksum({"x", "y", "z"}) == calculate_checksum({"z", "y", "x"})
    assert calculate_checksum({1: 0, "1": 0, None: 0}) == calculate_checksum({None: 0, "1": 0, 1: 0})


def test_equal_arrays_are_equal_however_they_lie_in_memory() -> None:
    array = np.arange(12, dtype="int64").reshape(3, 4)
    assert calculate_checksum(array) == calculate_checksum(np.asfortranarray(array))
    assert calculate_checksum(array) == calculate_checksum(array.astype(">i8"))
    assert calculate_checksum(array[::2]) == calculate_checksum(array[::2].copy())


def test_the_checksum_of_an_object_is_the_same_in_another_process() -> None:
    script = "from emitter import calculate_checksum as c; print(c({'a': {'x', 'y'}, 'b': (1, 2.5, None)}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {calculate_checksum({"b": (1, 2.5, None), "a": {"y", "x"}})}


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates() | st.decimals(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


def form(value: Any) -> Any:
    """What tells two values apart, as the checksum should."""
    if isinstance(value, dict):
        return ("dict", sorted((repr(form(key)), repr(form(one))) for key, one in value.items()))
    if isinstance(value, list | tuple):
        return (type(value).__name__, [form(one) for one in value])
    return (type(value).__name__, repr(value))


@given(plain, plain)
def test_checksums_are_equal_exactly_where_values_are(one: Any, two: Any) -> None:
    assert (calculate_checksum(one) == calculate_checksum(two)) == (form(one) == form(two))


class Model:
    pass


def shared() -> list[Any]:
    inner: list[Any] = [1]
    return [inner, inner]


def loop() -> list[Any]:
    inner: list[Any] = []
    return [{"a": inner}] if inner.append(inner) is None else inner


def test_a_member_that_comes_twice_is_no_loop() -> None:
    assert calculate_checksum(shared()) == calculate_checksum([[1], [1]])


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Model(), "the tests.emitter.test_checksum.Model at $ has no stable form, so it has no checksum"),
        ({"model": [1, Model()]}, "Model at $['model'][1] has no stable form"),
        (Point(Model(), 1), "Model at $.x has no stable form"),  # type: ignore[arg-type]
        (lambda: 1, "the builtins.function at $ has no stable form"),
        ((one for one in [1]), "the builtins.generator at $ has no stable form"),
        (loop(), "the list at $[0]['a'][0] contains itself"),
        (deep(), "this list is nested too deeply for a checksum"),
        (np.ma.masked_array([1, 2], mask=[0, 1]), "the masked array at $ has no checksum; fill it first"),
    ],
)
def test_what_has_no_stable_form_is_refused_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(ChecksumError) as refused:
        calculate_checksum(value)
    assert message in str(refused.value)


def test_the_refusal_says_what_to_do() -> None:
    with pytest.raises(ChecksumError, match=r"give the asset an IO manager that stores bytes, such as PickleIO"):
        calculate_checksum(Model())
