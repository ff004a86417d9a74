"""Any command as a run: START, RUNNING while it runs, COMPLETE or FAIL."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from emitter.child_process import ChildProcess, Exit, signal_name
from emitter.emission import Emission
from emitter.runs import RunIdentity, instant, now
from facets import PRODUCER

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())

Dataset = tuple[str, str]

HEARTBEAT_SECONDS = 60.0
#: What a shell answers where there is no such program, or it may not be run.
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A command and what its events say of it: its run, what it reads, what it has written once it succeeded."""

    command: Sequence[str]
    run: RunIdentity
    inputs: Sequence[Dataset] = ()
    outputs: Sequence[Dataset] = ()


class LateEmission:
    """An emission that is made when the first event is sent: by then the command runs, and waits for no import."""

    def __init__(self, connect: Callable[[], Emission]) -> None:
        self._connect = connect
        self._emission: Emission | None = None

    def send(self, build: Callable[[], RunEvent]) -> None:
        """As `Emission.send`, and whatever happens the command is not left alone."""
        try:
            if self._emission is None:
                self._emission = self._connect()
            self._emission.send(build)
        except Exception as error:  # noqa: BLE001 - lineage never fails the command; logged
            log.warning("lineage event not sent error=%r", str(error))

    def close(self) -> None:
        """As `Emission.close`."""
        if self._emission is not None:
            self._emission.close()


def wrap(wrapped: Wrapped, emission: Emission | LateEmission, heartbeat: float = HEARTBEAT_SECONDS) -> tuple[Exit, str]:
    """Run a command and send its events, a RUNNING every ``heartbeat`` seconds; how it ended, and why it never began.

    The command starts before its START event is made, so that it waits for nothing. It finds its run in the
    environment, as parent (``OPENLINEAGE_PARENT_ID``) and root. Signals that come meanwhile are the command's. Call it
    in the main thread.
    """
    child = ChildProcess(wrapped.command, {**os.environ, **wrapped.run.environment()})
    began = now()
    try:
        child.start()
    except OSError as error:
        trouble = f"{wrapped.command[0]}: {error.strerror}"
        code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
        ended = Exit(code, None, 0.0)
        _tell(emission, wrapped, "START", began)
        _tell(emission, wrapped, "FAIL", now(), ended, trouble)
        return ended, trouble
    _tell(emission, wrapped, "START", began)
    while (exit_ := child.wait(heartbeat)) is None:
        _tell(emission, wrapped, "RUNNING", now(), Exit(None, None, child.running_for))
    tail = "" if exit_.succeeded else child.tail
    _tell(emission, wrapped, "COMPLETE" if exit_.succeeded else "FAIL", now(), exit_, tail)
    return exit_, ""


def _tell(
    emission: Emission | LateEmission,
    wrapped: Wrapped,
    state: str,
    at: datetime,
    exit_: Exit | None = None,
    tail: str = "",
) -> None:
    emission.send(lambda: command_event(state, at, wrapped, exit_, tail))


def command_event(state: str, at: datetime, wrapped: Wrapped, exit_: Exit | None, tail: str) -> RunEvent:
    """An event of the command's run: ``exit_`` is how it ended, or how long it has run; ``tail`` its last words."""
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import RunFacet, error_message_run, job_type_job

    from emitter.events import parent_facet
    from facets.command import KEY, HeadwaterCommandRunFacet

    run = wrapped.run
    program = os.path.basename(wrapped.command[0])
    ended = exit_ if exit_ is not None and state != "RUNNING" else None
    facets: dict[str, RunFacet] = {
        KEY: HeadwaterCommandRunFacet(
            program,
            exitCode=ended.code if ended else None,
            signal=signal_name(ended.signal) if ended and ended.signal is not None else None,
            seconds=round(exit_.seconds, 3) if exit_ else None,
        )
    }
    if run.parent is not None:
        facets |= parent_facet(run.parent)
    if state == "FAIL" and ended is not None:
        message = f"{program} {ended.told()} after {ended.seconds:.1f} s"
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            f"{message}\n{tail}" if tail else message, "SHELL", producer=PRODUCER
        )
    return RunEvent(
        eventType=RunState[state],
        eventTime=instant(at),
        producer=PRODUCER,
        run=Run(run.run_id, facets),
        job=Job(
            run.namespace,
            run.job,
            {"jobType": job_type_job.JobTypeJobFacet("BATCH", "HEADWATER", "COMMAND", producer=PRODUCER)},
        ),
        inputs=[InputDataset(*dataset) for dataset in wrapped.inputs],
        outputs=[OutputDataset(*dataset) for dataset in wrapped.outputs] if state == "COMPLETE" else [],
    )
