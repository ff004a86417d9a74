"""Loading a file of events, one a line, into a destination, batch by batch; memory is bounded whatever its size."""

from __future__ import annotations

import gzip
import re
import shlex
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from collector.body import MAX_BODY
from lineage.errors import HeadwaterError

MAX_LINE = MAX_BODY - 2  # bytes of one event; the brackets of a batch come around it
MAX_BATCH_BYTES = 4 * 1024 * 1024
FIRST_LINES = 5  # line numbers that are kept of each reason
MAX_REASONS = 100  # different reasons that are kept; what comes after counts as OTHER
OTHER = "other reasons"

_GZIP = b"\x1f\x8b"
# what makes the same mistake look like many: where in the line the JSON parser stood, and how many of something
_POSITION = re.compile(r":? ?(?:at )?line \d+ column \d+(?: \(char \d+\))?")


class UnreadableFile(HeadwaterError):
    """A file that does not hold one event a line, or cannot be read."""


class DestinationFailed(HeadwaterError):
    """The destination cannot take events; nothing can be said of the batch that was under way."""


class ImportStopped(HeadwaterError):
    """An import that ended before the file did.

    ``report`` counts what was done, ``next_line`` is the first line of which that cannot be said. Going on from there
    is safe: an event that is stored already counts once.
    """

    def __init__(self, cause: str, report: ImportReport, next_line: int) -> None:
        super().__init__(cause)
        self.report = report
        self.next_line = next_line


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file: its number, from 1, and its bytes without the newline."""

    number: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch: why lines were refused, by number; how many were there already, None if unknown."""

    refused: Mapping[int, str]
    duplicates: int | None = None


class Destination(Protocol):
    """Where events go."""

    def send(self, batch: Sequence[Line]) -> Outcome:
        """Store a batch durably. Raises DestinationFailed where that cannot be; the batch may be sent again."""
        ...

    def close(self) -> None:
        """Let go of what is held open."""
        ...


@dataclass(slots=True)
class Reason:
    """Why lines were refused: how many, and the numbers of the first of them."""

    text: str
    count: int = 0
    lines: list[int] = field(default_factory=list)


@dataclass(slots=True)
class ImportReport:
    """The count of an import; ``duplicates`` is None where the destination does not say."""

    read: int = 0
    refused: int = 0
    duplicates: int | None = None
    reasons: dict[str, Reason] = field(default_factory=dict)

    @property
    def stored(self) -> int:
        """Events that the destination holds now and, where it says so, did not hold before."""
        return self.read - self.refused - (self.duplicates or 0)

    def add(self, batch: Sequence[Line], outcome: Outcome) -> None:
        """Count a batch."""
        self.read += len(batch)
        if outcome.duplicates is not None:
            self.duplicates = (self.duplicates or 0) + outcome.duplicates
        for number, text in sorted(outcome.refused.items()):
            self.refuse(number, text)

    def refuse(self, number: int, text: str) -> None:
        """Count a refused line."""
        self.refused += 1
        text = _POSITION.sub("", text)
        if text not in self.reasons and len(self.reasons) >= MAX_REASONS:
            text = OTHER
        reason = self.reasons.setdefault(text, Reason(text))
        reason.count += 1
        if len(reason.lines) < FIRST_LINES:
            reason.lines.append(number)

    def document(self) -> dict[str, object]:
        """The report as JSON values, the commonest reason first."""
        ordered = sorted(self.reasons.values(), key=lambda one: (-one.count, one.lines))
        return {
            "read": self.read,
            "stored": self.stored,
            "duplicates": self.duplicates,
            "refused": self.refused,
            "reasons": [{"reason": one.text, "count": one.count, "lines": one.lines} for one in ordered],
        }


class EventFile:
    """An open file of events, plain or gzip; ``size`` and ``position`` are in bytes as stored, size None for a pipe."""

    def __init__(self, raw: BinaryIO, name: str, size: int | None) -> None:
        self.name = name
        self.size = size
        self._raw = raw
        packed = raw.peek(2)[:2] == _GZIP if hasattr(raw, "peek") else False
        self._stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw

    @property
    def position(self) -> int:
        return self._raw.tell() if self.size is not None else 0

    def lines(self, from_line: int = 1) -> Iterator[Line]:
        """Each line that is not blank, from a number on; one that is too long comes cut at MAX_LINE + 1 bytes.

        Raises UnreadableFile.
        """
        number = 0
        try:
            while raw := self._stream.readline(MAX_LINE + 1):
                number += 1
                if len(raw) > MAX_LINE and not raw.endswith(b"\n"):
                    self._skip_line()
                raw = raw.strip()
                if raw and number >= from_line:
                    if number == 1:
                        self._check_first(raw)
                    yield Line(number, raw)
        except (OSError, EOFError, zlib.error) as error:
            told = getattr(error, "strerror", None) or str(error)
            raise UnreadableFile(f"{self.name} cannot be read beyond line {number}: {told}") from error

    def _skip_line(self) -> None:
        while (part := self._stream.readline(MAX_LINE)) and not part.endswith(b"\n"):
            pass

    def _check_first(self, raw: bytes) -> None:
        """Two forms that events often come in are not one event a line; told once, not of each line."""
        start = raw.removeprefix(b"\xef\xbb\xbf")
        if start.startswith(b"["):
            found, program = "starts with '[', like a JSON array of events", "jq -c '.[]'"
        elif start == b"{":
            found, program = "has a '{' alone on its first line, like an event that is spread over many", "jq -c ."
        else:
            return
        file = shlex.quote(self.name) if self.size is not None else "events.json"
        raise UnreadableFile(
            f"{self.name} {found}; each event must be on one line. This makes it so: {program} {file} > events.ndjson"
        )


@contextmanager
def open_events(path: str, stdin: BinaryIO) -> Iterator[EventFile]:
    """Open a file of events, ``-`` for ``stdin``; gzip is recognized by its first bytes. Raises UnreadableFile."""
    if path == "-":
        yield EventFile(stdin, "the input", None)
        return
    try:
        raw = open(path, "rb")  # noqa: SIM115 - closed below
        size = Path(path).stat().st_size if Path(path).is_file() else None
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}") from error
    with raw:
        yield EventFile(raw, path, size)


def import_events(
    events: EventFile,
    destination: Destination,
    *,
    batch: int = 500,
    from_line: int = 1,
    on_progress: Callable[[ImportReport], object] | None = None,
) -> ImportReport:
    """Load every event of a file; what the destination refuses is counted by reason and does not stop the rest.

    Args:
        events: the open file.
        destination: where they go.
        batch: the most events that are sent at once (fewer where they are large).
        from_line: the first line to load.
        on_progress: called after each batch with the report so far.

    Raises:
        ImportStopped: the destination failed, the file cannot be read on, or it was interrupted.
    """
    report = ImportReport()
    next_line = from_line
    try:
        for lines, refused in _batches(events.lines(from_line), batch):
            outcome = destination.send(lines) if lines else Outcome({})
            report.add(lines, outcome)
            for line in refused:
                report.read += 1
                report.refuse(line.number, f"The line is longer than {MAX_LINE:,} bytes.")
            next_line = max(line.number for line in [*lines, *refused]) + 1
            if on_progress is not None:
                on_progress(report)
    except (DestinationFailed, UnreadableFile) as error:
        raise ImportStopped(str(error), report, next_line) from error
    except KeyboardInterrupt as error:
        raise ImportStopped("Interrupted.", report, next_line) from error
    return report


def _batches(lines: Iterator[Line], most: int) -> Iterator[tuple[list[Line], list[Line]]]:
    """Batches of lines, beside each the lines among them that are too long to be sent."""
    batch: list[Line] = []
    refused: list[Line] = []
    size = 0
    for line in lines:
        if len(line.raw) > MAX_LINE:
            refused.append(Line(line.number, b""))
        else:
            if batch and size + len(line.raw) > MAX_BATCH_BYTES:
                yield batch, refused
                batch, refused, size = [], [], 0
            batch.append(line)
            size += len(line.raw) + 1
        if len(batch) + len(refused) >= most:
            yield batch, refused
            batch, refused, size = [], [], 0
    if batch or refused:
        yield batch, refused
