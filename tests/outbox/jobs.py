"""Jobs in processes of their own, which use the standard client and nothing of ours but a configuration."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent

PRELUDE = """
import os, sys, time
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from uuid import UUID

def event(job="load", run=1):
    return RunEvent(eventType=RunState.RUNNING, eventTime="2026-01-01T00:00:00Z", producer="https://example.com/job",
                    run=Run(str(UUID(int=run))), job=Job("jobs", job))
"""


def environment(path: Path | str, url: str, **settings: Any) -> dict[str, str]:
    """The variables that configure the outbox."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENLINEAGE")}
    given = {"type": "emitter.outbox.OutboxTransport", "url": url, "path": str(path), **settings}
    variables = {f"OPENLINEAGE__TRANSPORT__{name.upper()}": str(value) for name, value in given.items()}
    return {**kept, "PYTHONPATH": str(ROOT), **variables}


def start(code: str, variables: dict[str, str], **options: Any) -> subprocess.Popen[str]:
    """Start a job; its outputs are captured as text."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run(code: str, variables: dict[str, str], seconds: float = 30, **options: Any) -> tuple[int, str, str]:
    """Run a job to its end: exit code, output, errors. Fails after ``seconds``: that is the watchdog."""
    process = start(code, variables, **options)
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, out, err
