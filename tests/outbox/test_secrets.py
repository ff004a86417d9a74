"""E8: secrets stay here, and the file is its owner's."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from openlineage.client.event_v2 import InputDataset
from openlineage.client.facet_v2 import environment_variables_run, error_message_run, sql_job, tags_run
from openlineage.client.serde import Serde

from emitter.outbox.redaction import MASK, mask_text, to_document
from tests.outbox.events import PRODUCER, event, transport
from tests.outbox.far_end import FarEnd, refusing

SECRET = "hunter2secret"


def environment(**variables: str) -> Any:
    found = [environment_variables_run.EnvironmentVariable(name, value) for name, value in variables.items()]
    return environment_variables_run.EnvironmentVariablesRunFacet(found, producer=PRODUCER)


def test_file_is_its_owners_alone_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        with refusing() as url:
            sender = transport(path, url)
            sender.emit(event())
            for suffix in ("", "-wal", "-shm", ".lock"):
                assert stat.S_IMODE(os.stat(f"{path}{suffix}").st_mode) == 0o600, suffix
            sender.close()
    finally:
        os.umask(before)


def test_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    with refusing() as url:
        transport(path, url).emit(event())
        path.chmod(0o644)
        from emitter.outbox.store import Store

        store = Store(path)
        store.newest(1)
        store.close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://user:{SECRET}@host:5432/db",
        f"could not connect to mysql+pymysql://root:{SECRET}@10.0.0.1/x?charset=utf8",
        f"jdbc:sqlserver://host;user=sa;password={SECRET};encrypt=true",
        f"host=db user=me password='{SECRET}' dbname=x",
        f"s3 secret_access_key={SECRET}",
        f"Authorization: Bearer {SECRET}.{SECRET}",
        f'password = "{SECRET}"',
        f"https://api/?token={SECRET}&x=1",
    ],
)
def test_secrets_that_give_themselves_away_are_masked_in_texts(text: str) -> None:
    assert SECRET not in mask_text(text) and MASK in mask_text(text)


@pytest.mark.parametrize(
    "text",
    ["postgresql://host:5432/db", "select a = 'b' from t", "token = next(tokens)", "mail me@host.org", "a:b@c", "x=1"],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert mask_text(text) == text


def test_environment_is_masked_by_name() -> None:
    found = to_document(event(environmentVariables=environment(DB_PASSWORD=SECRET, MY_API_KEY=SECRET, HOME="/root")))
    variables = found["run"]["facets"]["environmentVariables"]["environmentVariables"]
    assert {one["name"]: one["value"] for one in variables} == {
        "DB_PASSWORD": MASK,
        "MY_API_KEY": MASK,
        "HOME": "/root",
    }


def test_dataset_namespace_loses_user_and_password() -> None:
    one = event()
    one.inputs = [InputDataset(f"postgres://me:{SECRET}@db:5432", "shop.orders")]
    assert to_document(one)["inputs"][0] | {"facets": 0} == {
        "namespace": "postgres://db:5432",
        "name": "shop.orders",
        "facets": 0,
        "inputFacets": {},
    }


def test_no_secret_reaches_the_file_or_the_wire(path: Path, far_end: FarEnd) -> None:
    one = event(
        environmentVariables=environment(SOME_TOKEN=SECRET),
        errorMessage=error_message_run.ErrorMessageRunFacet(f"no route to db://u:{SECRET}@h", "SH", producer=PRODUCER),
        tags=tags_run.TagsRunFacet([tags_run.TagsRunFacetFields("api_key", SECRET, "USER")], producer=PRODUCER),
    )
    sender = transport(path, far_end.url)
    sender.emit(one)
    assert sender.flush(5)
    sender.close()
    assert SECRET not in json.dumps(far_end.events)
    assert SECRET.encode() not in path.read_bytes()
    assert len(far_end.events) == 1


def test_credentials_of_the_collector_are_not_in_the_file(path: Path) -> None:
    sender = transport(path, f"http://me:{SECRET}@127.0.0.1:9", auth={"type": "api_key", "apiKey": SECRET})
    sender.emit(event())
    sender.close()
    everything = b"".join(one.read_bytes() for one in path.parent.iterdir() if one.is_file())
    assert SECRET.encode() not in everything


def test_literals_of_sql_are_masked_where_it_is_asked_for(path: Path) -> None:
    one = event()
    one.job.facets = {
        "sql": sql_job.SQLJobFacet("select * from t where name = 'it''s me' and x = 'y'", producer=PRODUCER)
    }
    query = to_document(one, redact_sql=True)["job"]["facets"]["sql"]["query"]
    assert query == f"select * from t where name = '{MASK}' and x = '{MASK}'"
    assert "it''s me" in to_document(one)["job"]["facets"]["sql"]["query"]


def test_without_redaction_an_event_is_what_the_standard_client_makes_of_it() -> None:
    one = event(environmentVariables=environment(DB_PASSWORD=SECRET, EMPTY=""))
    one.inputs = [InputDataset("postgres://u:p@h", "t", inputFacets={})]
    assert to_document(one, redact=False) == json.loads(Serde.to_json(one))
