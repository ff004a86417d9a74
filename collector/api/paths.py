"""Paths with names in them: ``/namespaces/{namespace}/datasets/{dataset}/…``, whatever the names hold.

Clients percent-encode the names (``postgres%3A%2F%2Fhost``, ``a%2Fb``), but a WSGI server hands over the decoded path,
in which a name's ``/`` looks like the path's own (granian 2.8 gives no raw path beside it). So a path has several
readings, like a node id: the body that comes with it tells which kind of thing is meant, then the store knows which;
where none is stored, the one in the longest stored namespace counts, then the one with the shortest names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from apispec import APISpec
from flask import Flask, Response, abort, request
from marshmallow import EXCLUDE, Schema
from sqlalchemy import Connection, select
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import Map, PathConverter, Rule

from collector import keys, tables
from collector.api.query import sent_document
from collector.api.store import reader
from collector.walk import among

PREFIX = "/api/v1/namespaces/"
MAX_READINGS = 1_000
_VARIABLE = re.compile(r"\{(\w+)\}")

Names = dict[str, str]
View = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class _Route:
    template: str
    method: str
    view: View
    doc: dict[str, Any]

    @property
    def body(self) -> type[Schema] | None:
        """What its body has to be."""
        found: type[Schema] | None = None
        if "requestBody" in self.doc:
            found = self.doc["requestBody"]["content"]["application/json"]["schema"]
        return found


Reading = tuple[_Route, Names]


@dataclass(slots=True)
class NamePaths:
    """The calls below ``/api/v1/namespaces/``, tried in the order of their registration: the longer first."""

    tag: str
    routes: list[_Route] = field(default_factory=list)

    def route(self, template: str, method: str = "GET", **doc: Any) -> Callable[[View], View]:
        """Register a view for ``template``, such as ``{namespace}/datasets/{dataset}``; names come as keywords."""

        def register(view: View) -> View:
            self.routes.append(_Route(template, method, view, doc))
            return view

        return register


class _Anything(PathConverter):
    """Werkzeug's own ends at a newline, and does not begin with ``/``."""

    part_isolating = False
    regex = "(?s:.+)"


def install(app: Flask, spec: APISpec, paths: list[NamePaths]) -> None:
    """Serve and document ``paths``."""
    routes = [route for group in paths for route in group.routes]
    routes.sort(key=lambda route: -len(_VARIABLE.sub("", route.template)))
    methods = sorted({route.method for route in routes})

    app.url_map.converters["anything"] = _Anything

    @app.route(f"{PREFIX}<anything:rest>", methods=methods, endpoint="names")
    def dispatch(rest: str) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        every = ((route, names) for route in routes for names in readings(route.template, rest))
        found = list(islice(every, MAX_READINGS))  # each holds a copy of the path
        if not found:
            abort(404, f"No call has the path {request.path[:200]!r}; the calls are listed at /docs/.")
        allowed = [(route, names) for route, names in found if route.method == method]
        if not allowed:
            raise MethodNotAllowed(sorted({route.method for route, _ in found}))
        route, names = allowed[0] if len(allowed) == 1 else _stored_reading(_told_readings(allowed))
        return route.view(**names)

    for group in paths:
        for route in group.routes:
            _document(spec, group, route)


def readings(template: str, path: str) -> Iterator[Names]:
    """Every way to read ``path`` as ``template``; the shortest first names first. A name is never empty."""
    parts = _VARIABLE.split(template)  # ["", "namespace", "/datasets/", "dataset", ""]
    yield from _readings(parts[1::2], parts[2::2], path)


def _readings(names: list[str], literals: list[str], rest: str) -> Iterator[Names]:
    name, literal = names[0], literals[0]
    if len(names) == 1:
        if literal == "" and rest:
            yield {name: rest}
        elif literal and rest.endswith(literal) and len(rest) > len(literal):
            yield {name: rest[: -len(literal)]}
        return
    at = rest.find(literal, 1)
    while at > 0:
        for others in _readings(names[1:], literals[1:], rest[at + len(literal) :]):
            yield {name: rest[:at]} | others
        at = rest.find(literal, at + 1)


def _told_readings(found: list[Reading]) -> list[Reading]:
    """Those whose body is like the one that was sent; all, where none is."""
    bodies = {route.body for route, _ in found} - {None}
    if len(bodies) < 2:
        return found
    document = sent_document()
    fitting = {body for body in bodies if body is not None and not body(unknown=EXCLUDE).validate(document)}
    return [(route, names) for route, names in found if route.body in fitting] or found


def _stored_reading(found: list[Reading]) -> Reading:
    with reader() as connection:
        for kind in ("dataset", "job", "namespace"):
            ids = {index: _id(kind, names) for index, (_, names) in enumerate(found) if _kind(names) == kind}
            stored = _stored(connection, kind, set(ids.values()))
            for index, one in ids.items():
                if one in stored:
                    return found[index]
        ids = {index: _id("namespace", names) for index, (_, names) in enumerate(found)}
        stored = _stored(connection, "namespace", set(ids.values()))
    inside = [found[index] for index, one in ids.items() if one in stored]
    return max(inside, key=lambda reading: len(reading[1]["namespace"]), default=found[0])


def _kind(names: Names) -> str:
    return next(kind for kind in ("dataset", "job", "namespace") if kind in names)


def _id(kind: str, names: Names) -> int:
    namespace = keys.clean_name(names["namespace"])
    if kind == "namespace":
        return keys.namespace_id(namespace)
    of_kind = keys.dataset_id if kind == "dataset" else keys.job_id
    return of_kind(namespace, keys.clean_name(names[kind]))


def _stored(connection: Connection, kind: str, ids: set[int]) -> set[int]:
    column = {"dataset": tables.dataset, "job": tables.job, "namespace": tables.namespace}[kind].c.id
    return set(connection.execute(select(column).where(among(connection, column, ids))).scalars()) if ids else set()


def _document(spec: APISpec, group: NamePaths, route: _Route) -> None:
    rule = Rule(PREFIX + _VARIABLE.sub(r"<path:\1>", route.template), defaults={})
    Map([rule])  # binds the rule: flask-smorest's plugin reads its converters
    operation = {"tags": [group.tag], **route.doc}
    operation.setdefault(
        "responses", {"200": {"description": "as Marquez answers"}, "404": {"description": "not there"}}
    )
    spec.path(rule=rule, operations={route.method.lower(): operation})
