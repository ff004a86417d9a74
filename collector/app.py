"""The application factory."""

from __future__ import annotations

import atexit
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask, Response, redirect
from flask_smorest import Api
from flask_swagger_ui import get_swaggerui_blueprint
from werkzeug.wrappers import Response as BaseResponse

from collector.api import (
    datasets,
    events,
    graph,
    health,
    ingest,
    jobs,
    metrics,
    more_lineage,
    paths,
    published_schemas,
    quarantine,
    registry,
    runs,
    search,
    statistics,
)
from collector.api.answers import install_error_handlers
from collector.api.delivery import blueprint as delivery
from collector.api.dependencies import blueprint as dependencies
from collector.api.history import blueprint as history
from collector.api.labels import blueprint as labels
from collector.api.quality import blueprint as quality
from collector.api.store import EXTENSION, Store
from collector.intake import Intake
from collector.schemas import EventSchema
from collector.store.engines import open_engine, upgrade
from collector.writer import Writer

DOCS = "/docs"


def create_app(database: str = "sqlite:///lineage.db", **settings: Any) -> Flask:
    """A collector on ``database``, whose schema is brought up to date.

    ``settings``: ``max_body`` (bytes of one request), ``max_nodes`` (of one graph answer); others go to Flask's config.
    Raises StoreError where the database cannot be used.
    """
    engine = open_engine(database)
    upgrade(engine)
    limits = {name: settings.pop(name) for name in ("max_body", "max_nodes") if name in settings}
    app = Flask("collector", static_folder=None)
    app.config.update(
        API_TITLE="Headwater",
        API_VERSION=_version(),
        OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS={"info": {"description": "An OpenLineage collector that answers Marquez's API."}},
    )
    app.config.update(settings)
    app.url_map.merge_slashes = False  # names in paths may hold '//'
    writer = Writer(engine)
    held = app.extensions[EXTENSION] = Store(engine, writer, Intake(writer), **limits)
    app.wsgi_app = ingest.FastPath(app.wsgi_app, held.intake, held.max_body)  # type: ignore[method-assign]
    atexit.register(writer.close)
    api = Api(app)
    install_error_handlers(app)  # after Api, which brings handlers of its own
    for plugin in api.spec.plugins:
        if isinstance(plugin, MarshmallowPlugin):
            api.spec.components.schema("Event", schema=EventSchema)
    paths.install(app, api.spec, [registry.paths, datasets.paths, jobs.paths])
    for module in (ingest, graph, more_lineage, events, registry, jobs, runs, search, statistics):
        api.register_blueprint(module.blueprint)
    api.register_blueprint(search.beta)
    for module in (quarantine, published_schemas, health, metrics):
        api.register_blueprint(module.blueprint)
    for blueprint in (delivery, history, labels, quality, dependencies):
        api.register_blueprint(blueprint)
    app.register_blueprint(
        get_swaggerui_blueprint(DOCS, "/openapi.json", config={"app_name": "Headwater", "validatorUrl": None})
    )

    @app.get("/")
    def home() -> BaseResponse:
        return redirect(f"{DOCS}/")

    @app.after_request
    def plain(response: Response) -> Response:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response

    return app


def _version() -> str:
    try:
        return version("headwater")
    except PackageNotFoundError:
        return "unknown"
