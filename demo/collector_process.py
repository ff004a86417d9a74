"""A collector in a process of its own, for as long as it is needed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lineage.errors import HeadwaterError

STOP_SECONDS = 10.0


class CollectorDidNotStart(HeadwaterError):
    """The collector's process ended before it answered."""


@contextmanager
def running_collector(database: Path) -> Iterator[str]:
    """Start `headwater serve` on a free port over a SQLite file; gives its URL, and stops it at the end.

    Raises CollectorDidNotStart, with what it said.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    log = database.with_suffix(".log")
    command = [sys.executable, "-m", "headwater", "serve", "--db", f"sqlite:///{database}", "--port", "0"]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # it announces itself once it answers; the end of the file if it does not
        url = re.search(r"https?://[^\s,]+", line)
        if url is None:
            raise CollectorDidNotStart(f"The collector did not start: {log.read_text().strip() or 'it said nothing'}")
        yield url[0]
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
