"""Asking a collector from the command line: over HTTP, or its database in this process; and what short names mean."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

import click
from click.core import ParameterSource

from collector.commands.store import DATABASE, opened
from headwater import COLLECTOR, CollectorFailed, fetch
from lineage.appearance import shorten
from lineage.errors import HeadwaterError
from lineage.nodes import NodeKind

JSON = dict[str, Any]
Query = Mapping[str, str | int | None]
_C = TypeVar("_C", bound=Callable[..., Any])

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 120.0
SHOWN_CANDIDATES = 10
MAX_CANDIDATES = 1_000  # that a search gives at once
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(\d{1,6})([smhdw])")
_PREFIXES = tuple(f"{kind.value}:" for kind in NodeKind if kind is not NodeKind.NAMESPACE)


class NotKnown(HeadwaterError):
    """A node, a version or a moment of which the collector knows nothing."""


class Asker(Protocol):
    """Whom questions go to; ``where`` is how a message calls it."""

    where: str

    def get(self, path: str, query: Query) -> tuple[int, str]:
        """The status and the body of ``GET /api/v1{path}``. Raises CollectorFailed."""


class OverHttp:
    """A collector that runs somewhere."""

    def __init__(self, url: str) -> None:
        self.where = url

    def get(self, path: str, query: Query) -> tuple[int, str]:
        answer = fetch(self.where, path, query, CONNECT_SECONDS, ANSWER_SECONDS)
        answer.encoding = "utf-8"
        return answer.status_code, answer.text


class OfDatabase:
    """A collector's database, asked in this process through the same API; a collector may run on it meanwhile."""

    def __init__(self, database: str) -> None:
        from collector.api.store import EXTENSION
        from collector.app import create_app

        app = create_app(database)
        self.where = "The database"
        self._store = app.extensions[EXTENSION]
        self._client = app.test_client()

    def get(self, path: str, query: Query) -> tuple[int, str]:
        given = {name: value for name, value in query.items() if value is not None}
        answer = self._client.get(f"/api/v1{path}", query_string=given)
        return answer.status_code, answer.get_data(as_text=True)

    def close(self) -> None:
        self._store.writer.close()
        self._store.engine.dispose()


@contextmanager
def asking(collector: str | None, database: str) -> Iterator[Asker]:
    """The collector at an address where one is given, else the database. Raises StoreError where there is none."""
    if collector is not None:
        yield OverHttp(collector)
        return
    with opened(database):
        asker = OfDatabase(database)
        try:
            yield asker
        finally:
            asker.close()


def ask(asker: Asker, path: str, query: Query) -> JSON:
    """The answer to a question.

    Raises NotKnown; CollectorFailed; click's UsageError where the collector refuses the question as none.
    """
    found: JSON = json.loads(ask_text(asker, path, query))
    return found


def ask_text(asker: Asker, path: str, query: Query) -> str:
    """The same as the text that came: JSON, or what ``format`` in the query asks for."""
    status, text = asker.get(path, query)
    if status == 200 and ("format" in query or text.startswith("{")):
        return text
    try:
        message = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        message = ""
    if status == 404 and message and "URL was not found" not in message and "No call has the path" not in message:
        raise NotKnown(message)
    if status in (400, 422) and message:
        raise click.UsageError(message)
    said = f": {message}" if message and status != 404 else ", not as a collector does; is the address right?"
    raise CollectorFailed(f"{asker.where} answered {status} to /api/v1{path}{said}")


# --- options ---------------------------------------------------------------------------------------------------------


class Time(click.ParamType):
    """An ISO-8601 time, in UTC where it names no zone, or an age such as ``12h``: that long ago."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from collector.errors import BadTime
        from collector.keys import microseconds

        text = str(value).strip()
        if age := _AGE.fullmatch(text):
            return (datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})).isoformat()
        try:
            microseconds(text)
        except BadTime as error:
            self.fail(f"{error}, nor an age such as 12h, 3d or 2w", param, ctx)
        return text


TIME = Time()

_COLLECTOR = click.option(
    "--collector",
    type=COLLECTOR,
    envvar="OPENLINEAGE_URL",
    show_envvar=True,
    help="The collector to ask; without one, its database is read (--db).",
)
MOMENT = (
    click.option(
        "--as-of", type=TIME, metavar="TIME", help="Only what had happened by then: an ISO time, or an age like 12h."
    ),
    click.option(
        "--known-at", type=TIME, metavar="TIME", help="Only what the collector had been told by then; see --as-of."
    ),
)
DEPTH = click.option("--depth", type=click.IntRange(0, 1_000), metavar="N", help="How many steps from the node.")
LIMIT = click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="The most that is answered; what is cut off is said."
)


def format_option(*more: str) -> Callable[[_C], _C]:
    """``--format``, with ``more`` than the three that all have."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice(["table", "json", "mermaid", *more]),
        default="table",
        show_default=True,
        help="A table to read, JSON for programs, or Mermaid to be pasted into Markdown.",
    )


def chosen_asker(collector: str | None, database: str) -> str | None:
    """The collector that the options mean, None the database: what is typed counts before what is in the environment.

    Raises click's UsageError where both are typed.
    """
    context = click.get_current_context()
    typed = {
        name for name in ("collector", "database") if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    if len(typed) == 2:
        raise click.UsageError("Ask one of the two: --collector URL, or its database with --db.")
    return None if "database" in typed else collector


def where_options(command: _C) -> _C:
    """``--collector`` and ``--db``."""
    return _COLLECTOR(DATABASE(command))


def asks(*, depth: bool = True, moment: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options of a question: the command is called with ``asker`` and with ``query``, what was given of depth,
    limit and the two clocks, by the API's names."""
    names = {"depth": "depth", "limit": "limit", "as_of": "asOf", "known_at": "knownAt"}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def opened_for(collector: str | None, database: str, **given: Any) -> None:
            query = {
                api: value for name, api in names.items() if name in given and (value := given.pop(name)) is not None
            }
            with asking(chosen_asker(collector, database), database) as asker:
                command(asker=asker, query=query, **given)

        wrapped: Callable[..., None] = opened_for
        for option in reversed((*((DEPTH,) if depth else ()), LIMIT, *(MOMENT if moment else ()))):
            wrapped = option(wrapped)
        return where_options(wrapped)

    return decorate


# --- names -----------------------------------------------------------------------------------------------------------


def node_id(asker: Asker, word: str, kinds: Collection[str] = ("dataset",)) -> str:
    """The id of the node that a word means: an id as it is, or a name, with or without ``#version`` or ``@time``.

    Raises NotKnown; click's UsageError, with the candidates, where there are several.
    """
    found = node_ids(asker, word, kinds)
    if len(found) > 1:
        raise click.UsageError(_several(word, found))
    return found[0]


def node_ids(asker: Asker, word: str, kinds: Collection[str] = ("dataset",)) -> list[str]:
    """The ids of all nodes that a word may mean.

    A name is that of a dataset (or job, where ``kinds`` has it; datasets come first): whole, or its last part with or
    without the ending, so that ``orders`` finds ``s3://lake`` ``daily/orders.parquet`` and ``shop.public.orders``.

    Raises NotKnown.
    """
    if is_id(word):
        return [word]
    for name, version in _readings(word):
        for kind in kinds:
            if found := _best(name, _search(asker, name, kind)):
                return [one + version for one in found]
    kind = " or ".join(kinds)
    raise NotKnown(
        f"{asker.where} knows no {kind} '{shorten(word, 80)}'. A name is that of a {kind}, or its last part; ids are "
        "written 'dataset:{namespace}:{name}'."
    )


def is_id(word: str) -> bool:
    """Whether a word is a node's id rather than its name."""
    return word.startswith(_PREFIXES)


def _readings(word: str) -> Iterator[tuple[str, str]]:
    """A name and what is written after it; names may hold the signs too, so the whole word comes first."""
    yield word, ""
    for sign in "#", "@":
        name, found, rest = word.partition(sign)
        if found and name and rest:
            yield name, found + rest


def _search(asker: Asker, name: str, kind: str) -> dict[str, str]:
    query: Query = {"q": name, "filter": kind, "limit": MAX_CANDIDATES}
    return {one["nodeId"]: one["name"] for one in ask(asker, "/search", query)["results"]}


def _best(name: str, hits: Mapping[str, str]) -> list[str]:
    """Those that are called so, by the strictest sense in which any is."""
    wanted = name.casefold()
    senses: tuple[Callable[[str], bool], ...] = (
        lambda one: one == name,
        lambda one: one.casefold() == wanted,
        lambda one: _last_part(one) in (wanted, wanted.rpartition("/")[2]) and one.casefold().endswith(wanted),
        lambda one: _without_ending(_last_part(one)) == wanted,
        lambda one: _last_part(one).rpartition(".")[2] == wanted,
        lambda one: one.casefold().endswith(("/" + wanted, "." + wanted)),
    )
    for sense in senses:
        if found := sorted(id_ for id_, one in hits.items() if sense(one)):
            return found
    return []


def _last_part(name: str) -> str:
    return name.casefold().rstrip("/").rpartition("/")[2]


def _without_ending(part: str) -> str:
    return part.rpartition(".")[0] or part


def _several(name: str, found: list[str]) -> str:
    lines = [f"'{shorten(name, 80)}' may be one of {len(found):,}; write the one that is meant:"]
    lines += [f"  {shorten(one)}" for one in found[:SHOWN_CANDIDATES]]
    if len(found) > SHOWN_CANDIDATES:
        lines.append(f"  and {len(found) - SHOWN_CANDIDATES:,} more")
    return "\n".join(lines)
