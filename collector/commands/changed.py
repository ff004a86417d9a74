"""Which assets a change is of: their names in a file, or the files that Git says differ between two revisions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import click

from collector.commands.asking import is_id

SEEDS = "seeds"  # the folder of a dbt project whose CSV files are loaded as tables


def is_range(source: str) -> bool:
    """Whether ``source`` is a range of revisions, such as ``main...HEAD``: it holds ``..`` and no file is called so."""
    return ".." in source and not os.path.isfile(source)


def changed_files(revisions: str) -> list[str]:
    """The assets whose files differ between two revisions of the repository around the working directory.

    A file that was deleted counts, and one that was renamed by both names. Files that stand for no asset are left out.
    Raises click's UsageError where there is no such range, no repository, or no Git.
    """
    if revisions.startswith("-"):  # Git would take it for an option
        raise _wrong(f"{revisions!r} is no range of revisions.")
    _git("no Git repository is here", "rev-parse", "--git-dir")
    paths = _git(
        f"{revisions!r} is no file, nor a range that Git knows",
        *("-c", "diff.relative=false", "diff", "--name-only", "--no-renames", "-z", revisions, "--"),
    )
    return _once(name for path in paths.split("\0") if (name := asset_of(path)) is not None)


def changed_names(source: str) -> list[str]:
    """The names in a file or on stdin, one a line; empty lines and those that begin with ``#`` are none.

    Raises click's UsageError where there is no such file.
    """
    if source == "-":
        text = sys.stdin.read()
    else:
        try:
            text = Path(source).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise _wrong(f"{source!r} cannot be read: {error}") from error
    lines = [line.strip() for line in text.splitlines()]
    return _once(asset_of(line) or line for line in lines if line and line[0] != "#")


def asset_of(path: str) -> str | None:
    """The name of the asset that a file holds: an SQL file's own, or that of a CSV file below ``seeds/``; else None."""
    file = PurePosixPath(path)
    if is_id(path) or not (file.suffix == ".sql" or (file.suffix == ".csv" and SEEDS in file.parts[:-1])):
        return None
    return file.stem


def _git(trouble: str, *words: str) -> str:
    """What Git prints. Raises click's UsageError, which begins with ``trouble``, where Git fails."""
    try:
        done = subprocess.run(
            ["git", *words],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise _wrong(f"A range needs Git, which cannot be run: {error.strerror}.") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise _wrong(f"{trouble}: {said.removeprefix('fatal: ') or f'exit code {done.returncode}'}")
    return done.stdout.decode(errors="replace")  # a name that is no UTF-8 is that of no asset


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _wrong(message: str) -> click.UsageError:
    return click.BadParameter(message, param_hint="--diff")
