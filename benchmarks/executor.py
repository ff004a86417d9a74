"""`python -m benchmarks.executor`: what the executor costs, beside a plain loop, the bare hash, and Hamilton.

Each measurement runs in a process of its own, so that none sees another's imports or memory; the sides take turns.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks.report import Figure, Target, document, show

EMPTY = 1_000
CHAIN = 20
CHAIN_MEGABYTES = 200
PEER_LAYERS, PEER_WIDTH = 10, 10
HASHED_MEGABYTES = 512
_BLOCK = 1 << 20


def empty_assets(folder: Path, emission: str, jobs: int) -> float:
    """Milliseconds an asset: a thousand that return a number, kept in memory; two of three need one before them."""
    from emitter import AssetGraph, asset, materialize

    def one(number: int) -> Any:
        needed = [f"a{number - 1:04}"] if number % 3 else []
        return asset(name=f"a{number:04}", deps=needed)(lambda: number)

    graph = AssetGraph([one(number) for number in range(EMPTY)])
    how: dict[str, Any] = {"none": {}, "built": {"on_event": lambda event: None}}.get(emission, {})
    if emission != "none":
        import emitter.events  # noqa: F401 - once a process, and half a second: not a cost of each asset
    if emission == "outbox":  # durable in the outbox; no collector answers there
        how = {"collector": "http://127.0.0.1:9"}
    began = time.perf_counter()
    results = materialize(graph, store=folder / "metadata.db", jobs=jobs, **how)
    seconds = time.perf_counter() - began
    assert results.succeeded
    return seconds * 1000 / EMPTY


def plain_calls(folder: Path) -> float:
    """Milliseconds a call of the same functions, without anything else."""
    functions = [lambda number=number: number for number in range(EMPTY)]
    began = time.perf_counter()
    for one in functions:
        one()
    return (time.perf_counter() - began) * 1000 / EMPTY


def unchanged_assets(folder: Path) -> float:
    """Milliseconds an asset to decide that a thousand in files, a kilobyte each, are unchanged."""
    from emitter import JSONIO, AssetGraph, asset, materialize

    io = JSONIO(folder / "data")

    def one(number: int) -> Any:
        needed = [f"a{number - 1:04}"] if number % 3 else []
        return asset(name=f"a{number:04}", deps=needed, io=io)(lambda: "x" * 1000 + str(number))

    graph = AssetGraph([one(number) for number in range(EMPTY)])
    assert materialize(graph, store=folder / "metadata.db").succeeded
    began = time.perf_counter()
    results = materialize(graph, store=folder / "metadata.db")
    seconds = time.perf_counter() - began
    assert {one.status for one in results.values()} == {"unchanged"}
    return seconds * 1000 / EMPTY


def stat_and_hash(folder: Path) -> float:
    """Milliseconds a file to read and hash the same thousand files, the least that such a decision takes."""
    from blake3 import blake3

    paths = [folder / f"{number}.json" for number in range(EMPTY)]
    for number, path in enumerate(paths):
        path.write_text("x" * 1000 + str(number))
    began = time.perf_counter()
    for path in paths:
        blake3(path.read_bytes()).hexdigest()
    return (time.perf_counter() - began) * 1000 / EMPTY


def hash_speed(folder: Path, what: str, ours: bool) -> float:
    """Megabytes a second of a checksum, or of the bare hash over the same bytes."""
    import numpy as np
    import pyarrow as pa
    from blake3 import blake3

    from emitter import calculate_checksum

    size = HASHED_MEGABYTES << 20
    data = np.random.default_rng(1).integers(0, 1 << 60, size // 8)
    path = folder / "data.bin"
    if what == "file":
        data.tofile(path)
        path.read_bytes()  # into the page cache: the hash is measured, not the disk
    table = pa.table({f"c{column}": part for column, part in enumerate(np.split(data, 8))})
    raw = data.tobytes() if what == "bytes" else b""

    def bare() -> None:
        hasher = blake3()
        if what == "file":
            block = bytearray(_BLOCK)
            view = memoryview(block)
            with open(path, "rb", buffering=0) as file:
                while count := file.readinto(block):
                    hasher.update(view[:count])
        elif what == "table":
            for column in table.columns:
                hasher.update(column.chunk(0).buffers()[1])
        else:
            hasher.update(raw)

    do: Callable[[], Any] = bare
    if ours:
        value: Any = {"file": path, "table": table, "bytes": raw}[what]
        do = lambda: calculate_checksum(value)  # noqa: E731
    do()
    took = []
    for _ in range(3):
        began = time.perf_counter()
        do()
        took.append(time.perf_counter() - began)
    return HASHED_MEGABYTES / min(took)


def chain_memory(folder: Path, ours: bool) -> float:
    """Peak megabytes of a chain of tables, above those of the process before; pandas, kept as Parquet."""
    import numpy as np
    import pandas as pd
    import pyarrow.parquet  # its threads' memory is not the chain's

    from emitter import AssetGraph, ParquetIO, asset, materialize

    rows = (CHAIN_MEGABYTES << 20) // 8 // 5
    assert pyarrow.parquet

    def first() -> pd.DataFrame:
        values = np.random.default_rng(1).integers(0, 1000, (rows, 5)).astype(float)
        return pd.DataFrame(values, columns=list("abcde"))

    before = _peak()
    if not ours:
        table = first()
        for _ in range(CHAIN - 1):
            table = table + 1
        return _peak() - before
    io = ParquetIO(folder / "data")
    assets = [asset(name="t00", io=io)(first)]
    for number in range(1, CHAIN):
        code = f"def t{number:02}(t{number - 1:02}): return t{number - 1:02} + 1"
        names: dict[str, Any] = {}
        exec(code, names)
        assets.append(asset(io=io)(names[f"t{number:02}"]))
    assert materialize(AssetGraph(assets), store=folder / "metadata.db").succeeded
    return _peak() - before


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peer_module(folder: Path) -> Any:
    """A hundred functions in ten layers, each of which needs two of the layer before."""
    lines = []
    for layer in range(PEER_LAYERS):
        for place in range(PEER_WIDTH):
            if layer == 0:
                lines.append(f"def n0_{place}() -> int:\n    return {place}\n")
            else:
                one, other = f"n{layer - 1}_{place}", f"n{layer - 1}_{(place + 1) % PEER_WIDTH}"
                lines.append(f"def n{layer}_{place}({one}: int, {other}: int) -> int:\n    return {one} + {other}\n")
    path = folder / "hundred.py"
    path.write_text("\n".join(lines))
    spec = importlib.util.spec_from_file_location("hundred", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hundred"] = module
    spec.loader.exec_module(module)
    return module


def hundred(folder: Path, ours: bool, again: bool) -> float:
    """Milliseconds an asset of the same hundred, stored on disk, the first time or when nothing changed."""
    module = peer_module(folder)
    names = [name for name in vars(module) if name.startswith("n") and "_" in name]

    def run_ours() -> None:
        from emitter import PickleIO, asset, materialize

        io = PickleIO(folder / "data")
        assets = [asset(io=io)(getattr(module, name)) for name in names]
        assert materialize(assets, store=folder / "metadata.db").succeeded

    def run_peer() -> None:
        from hamilton import driver

        built = driver.Builder().with_modules(module).with_cache(path=folder / "cache").build()
        found = built.execute([name for name in names if name.startswith(f"n{PEER_LAYERS - 1}")])
        assert len(found) == PEER_WIDTH

    run = run_ours if ours else run_peer
    if again:
        run()
    else:  # imports are not what is measured
        _import_only(ours)
    began = time.perf_counter()
    run()
    return (time.perf_counter() - began) * 1000 / len(names)


def _import_only(ours: bool) -> None:
    if ours:
        import emitter  # noqa: F401
    else:
        from hamilton import driver  # noqa: F401


MEASUREMENTS: dict[str, Callable[..., float]] = {
    "empty": empty_assets,
    "calls": plain_calls,
    "unchanged": unchanged_assets,
    "stat": stat_and_hash,
    "hash": hash_speed,
    "chain": chain_memory,
    "hundred": hundred,
}


class Runner:
    """Runs measurements in processes of their own, and tells of each."""

    def __init__(self, folder: Path, rounds: int, progress: Console) -> None:
        self._folder = folder
        self._rounds = rounds
        self._progress = progress

    def take(self, name: str, *arguments: Any, rounds: int | None = None) -> float:
        """The median of the rounds."""
        found = []
        for _ in range(rounds or self._rounds):
            folder = Path(tempfile.mkdtemp(dir=self._folder))
            command = [
                sys.executable,
                "-m",
                "benchmarks.executor",
                "--measure",
                json.dumps([name, str(folder), *arguments]),
            ]
            home = {"HOME": str(folder), "PYTHONPATH": os.getcwd()}
            kept = {key: value for key, value in os.environ.items() if not key.startswith("OPENLINEAGE")}
            done = subprocess.run(
                command, cwd=folder, env={**kept, **home}, stdout=subprocess.PIPE, text=True, check=True
            )
            found.append(float(done.stdout.splitlines()[-1]))
            shutil.rmtree(folder)
        value = statistics.median(found)
        self._progress.print(f"{name} {arguments}: {value:.3f} (of {', '.join(f'{one:.3f}' for one in found)})")
        return value


def measure(runner: Runner, only: tuple[str, ...]) -> list[Figure]:
    """All the figures, or those of some of the parts."""
    figures: list[Figure] = []
    limit = Target(1.0, at_most=True)
    if "overhead" in only:
        calls = runner.take("calls")
        for what, emission, jobs in (
            ("empty asset, no lineage", "none", 1),
            ("empty asset, no lineage, 2 threads", "none", 2),
            ("empty asset, events built", "built", 1),
            ("empty asset, events in the outbox", "outbox", 1),
        ):
            value = runner.take("empty", emission, jobs)
            figures.append(Figure("overhead", what, value, "ms", "plain call", calls, value, limit))
        value, bare = runner.take("unchanged"), runner.take("stat")
        figures.append(Figure("overhead", "decide that an asset is unchanged", value, "ms", "read and hash it", bare))
    if "checksum" in only:
        for what in ("file", "bytes", "table"):
            ours, bare = runner.take("hash", what, True, rounds=1), runner.take("hash", what, False, rounds=1)
            target = Target(0.8) if what == "file" else None
            figures.append(Figure("checksum", what, ours, "MB/s", "bare blake3", bare, ours / bare, target))
    if "memory" in only:
        ours, bare = runner.take("chain", True, rounds=1), runner.take("chain", False, rounds=1)
        what = f"peak of {CHAIN} tables of {CHAIN_MEGABYTES} MB in a chain"
        figures.append(Figure("memory", what, ours, "MB", "plain loop", bare, ours / bare))
    if "peer" in only:
        for what, again in (("100 assets, first time", False), ("100 assets, nothing changed", True)):
            ours, peer = runner.take("hundred", True, again), runner.take("hundred", False, again)
            figures.append(Figure("peer", what, ours, "ms", "Hamilton, cached", peer, ours / peer))
    return figures


PARTS = ("overhead", "checksum", "memory", "peer")


@click.command()
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="This part alone; repeatable.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Of each; the median counts.")
@click.option("--directory", type=click.Path(path_type=Path, exists=True), help="Where files go: a real disk.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file, too.")
@click.option("--measure", "one", hidden=True)
def main(only: tuple[str, ...], rounds: int, directory: Path | None, json_path: Path | None, one: str | None) -> None:
    """Measure what the executor costs. The peer needs Hamilton: pip install 'headwater[bench]'."""
    if one is not None:
        name, folder, *arguments = json.loads(one)
        click.echo(MEASUREMENTS[name](Path(folder), *arguments))
        return
    parts = only or PARTS
    if "peer" in parts and importlib.util.find_spec("hamilton") is None:
        raise click.ClickException(
            "the peer is not installed: pip install 'headwater[bench]', or leave it out with --only"
        )
    with tempfile.TemporaryDirectory(prefix="headwater-bench-", dir=directory) as place:
        runner = Runner(Path(place), rounds, Console(stderr=True, highlight=False))
        figures = measure(runner, parts)
        show(figures, Path(place), Console(width=None if Console().is_terminal else 160))
        if json_path is not None:
            json_path.write_text(json.dumps(document(figures, Path(place)), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
