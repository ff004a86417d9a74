"""What the collector says of itself: its OpenAPI document, the page over it, its health, and its facets' schemas."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_30_VALIDATOR

from collector import create_app
from collector.api.store import EXTENSION
from facets import schemas
from tests.collector.answers import get
from tests.collector.databases import postgresql_database
from tests.collector.events import raw, run_event

METHODS = ("get", "put", "post", "delete", "patch")
PAGE = "/docs/"


@pytest.fixture(scope="module")
def document(shared: FlaskClient) -> Any:
    return get(shared, "/openapi.json")


def operations(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


# --- OpenAPI ---------------------------------------------------------------------------------------------------------


def test_openapi_document_is_valid(document: Any) -> None:
    OPENAPI_30_VALIDATOR.validate(document)
    assert document["info"]["title"] == "Headwater"


def test_every_reference_in_the_document_leads_somewhere(document: Any) -> None:
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    assert "#/components/schemas/Event" in references
    for reference in references:
        place = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_every_operation_is_described_and_says_what_it_answers(document: Any) -> None:
    for path, method, operation in operations(document):
        assert operation.get("summary"), (path, method)
        assert operation.get("tags"), (path, method)
        assert any(status.startswith(("2", "3", "default")) for status in operation["responses"]), (path, method)
        assert all(one.get("description") for one in operation["responses"].values() if "$ref" not in one)


def test_every_variable_of_a_path_is_declared_once(document: Any) -> None:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                declared = [*item.get("parameters", ()), *item[method].get("parameters", ())]
                named = Counter(one["name"] for one in declared if one.get("in") == "path")
                assert named == Counter(re.findall(r"{(\w+)}", path)), (path, method)


def test_every_call_that_the_issue_promises_is_documented(document: Any) -> None:
    promised = {
        ("/api/v1/lineage", "post"), ("/api/v1/lineage", "get"), ("/api/v1/lineage/batch", "post"),
        ("/api/v1/lineage/upstream", "get"), ("/api/v1/lineage/downstream", "get"),
        ("/api/v1/lineage/diagram", "get"), ("/api/v1/lineage/diagram.mmd", "get"),
        ("/api/v1/lineage/diagram.dot", "get"), ("/api/v1/events/lineage", "get"), ("/health", "get"),
        ("/api/v1/quarantine", "get"),
    }  # fmt: skip
    assert promised <= {(path, method) for path, method, _ in operations(document)}


def test_every_documented_call_is_there(shared: FlaskClient, document: Any) -> None:
    for path, method, operation in operations(document):
        declared = [*document["paths"][path].get("parameters", ()), *operation.get("parameters", ())]
        choices = {one["name"]: str(one["schema"].get("enum", ["1"])[0]) for one in declared if one.get("in") == "path"}
        response = shared.open(path.format_map(choices), method="OPTIONS")
        assert response.status_code == 200, (path, method, response.status_code)
        # calls with names in their paths share one route, whose own 405 tells them apart
        if "/namespaces/{" not in path:
            assert method.upper() in response.headers["Allow"], (path, method, operation)


# --- the page --------------------------------------------------------------------------------------------------------


def test_page_works_without_the_internet(shared: FlaskClient) -> None:
    page = shared.get(PAGE)
    assert page.status_code == 200
    links = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    assert any(link.endswith(".js") for link in links)
    assert any(link.endswith(".css") for link in links)
    for link in links:
        assert not urlsplit(link).netloc, link
        asset = shared.get(urljoin(PAGE, link))
        assert (asset.status_code, bool(asset.data)) == (200, True), link
        if link.endswith(".css"):
            assert not re.search(r"url\(\s*['\"]?(https?:)?//", asset.text), link
    assert '"url": "/openapi.json"' in page.text
    assert '"validatorUrl": null' in page.text  # else Swagger UI asks a server of its own for a badge


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_home_leads_to_the_page(shared: FlaskClient, path: str) -> None:
    response = shared.get(path, follow_redirects=True)
    assert response.status_code == 200
    assert response.request.path == PAGE


# --- health ----------------------------------------------------------------------------------------------------------


def test_health_says_that_it_lives_and_is_ready(shared: FlaskClient) -> None:
    for path in ("/health", "/health/ready"):
        found = get(shared, path)
        assert (found["status"], found["live"], found["ready"]) == ("ok", True, True)


def test_collector_whose_database_is_gone_says_so_and_lives(postgresql: str) -> None:
    with postgresql_database(postgresql) as url:
        app = create_app(url, TESTING=True)
        client = app.test_client()
        assert client.get("/health").status_code == 200
        assert client.post("/api/v1/lineage", data=raw(run_event(outputs=("a",)))).status_code == 201
    health = client.get("/health")
    assert health.status_code == 503
    assert (health.json["live"], health.json["ready"]) == (True, False)
    for response in (
        client.post("/api/v1/lineage", data=raw(run_event())),
        client.get("/api/v1/lineage", query_string={"nodeId": "dataset:data:a"}),
    ):
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        assert response.json["code"] == 503
    app.extensions[EXTENSION].writer.close()
    app.extensions[EXTENSION].engine.dispose()


# --- schemas ---------------------------------------------------------------------------------------------------------


def test_schemas_of_our_facets_are_served_where_they_say_they_are(shared: FlaskClient) -> None:
    paths = get(shared, "/api/v1/schemas/")["schemas"]
    assert sorted(paths) == sorted(f"/api/v1/schemas/{name}.json" for name in schemas.names())
    for path in paths:
        served = get(shared, path)
        Draft202012Validator.check_schema(served)
        assert served == schemas.load(path.removeprefix("/api/v1/schemas/").removesuffix(".json"))
        assert served["$id"].endswith(path.removeprefix("/api/v1/schemas/")), path


@pytest.mark.parametrize(
    "path",
    ["1-0-0/Nothing.json", "9-9-9/HeadwaterChecksumDatasetFacet.json", "../../../etc/passwd.json", "..%2F..%2Fx.json"],
)
def test_unknown_schema_is_404(shared: FlaskClient, path: str) -> None:
    response = shared.get(f"/api/v1/schemas/{path}")
    assert response.status_code == 404
    assert response.json["code"] == 404
