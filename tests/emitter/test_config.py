"""Config and secrets."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import pickle
import sqlite3
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest

from emitter import JSONIO, AssetGraph, Secret, asset, materialize
from emitter.config import Config, parse, resolve
from emitter.conversion import convert
from emitter.errors import ConfigError
from tests.emitter.conftest import Events
from tests.emitter.refusals import refused


@asset(io=JSONIO("data"))
def orders(limit: int = 10, *, since: dt.date = dt.date(2024, 1, 1)) -> list[Any]:
    return [limit, since.isoformat()]


def test_config_has_defaults_and_is_given_by_name() -> None:
    assert materialize(orders)["orders"].value == [10, "2024-01-01"]
    assert materialize(orders, config={"limit": 3, "since": "2025-02-03"})["orders"].value == [3, "2025-02-03"]
    assert materialize(orders, config=["orders.limit=4"])["orders"].value == [4, "2024-01-01"]


def test_the_nearer_value_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    def limit(**given: Any) -> Any:
        return resolve(AssetGraph([orders]), given.get("config"))["orders"].arguments["limit"]

    monkeypatch.setenv("HEADWATER_CONFIG__LIMIT", "1")
    assert limit() == 1
    monkeypatch.setenv("HEADWATER_CONFIG__ORDERS__LIMIT", "2")
    assert limit() == 2
    assert limit(config={"limit": 3}) == 3
    assert limit(config={"limit": 3, "orders.limit": 4}) == 4


def test_changed_config_is_a_reason_to_run_and_says_what() -> None:
    materialize(orders)
    assert materialize(orders)["orders"].status == "unchanged"
    assert materialize(orders, config={"limit": 5})["orders"].reason == "config changed: limit 10 → 5"
    assert materialize(orders, config={"limit": 5})["orders"].status == "unchanged"


@dataclasses.dataclass(frozen=True)
class Window:
    days: int = 7
    token: Secret = dataclasses.field(default_factory=lambda: Secret("none"))

    def __post_init__(self) -> None:
        if self.days < 1:
            raise ValueError("a window has at least one day")


@asset
def visits(window: Window = Window()) -> int:
    return window.days


@asset
def clicks(*, window: Window, name: str) -> str:
    return f"{name} {window.days}"


def test_a_dataclass_is_config_by_its_fields() -> None:
    assert materialize(visits)["visits"].value == 7
    assert materialize(visits, config={"window.days": "3"})["visits"].value == 3
    assert materialize(visits, config={"window": Window(days=4)})["visits"].value == 4
    assert materialize(clicks, config={"clicks.window.days": 5, "name": "a"})["clicks"].value == "a 5"


def test_a_dataclass_that_is_not_changed_is_the_default_itself() -> None:
    default = Window()
    one = asset(name="one")(lambda window=default: window is default)
    assert materialize(one)["one"].value is True


def test_what_is_wrong_with_config_is_told_before_anything_runs() -> None:
    with refused(ConfigError, "no asset has a parameter 'limt'; did you mean 'limit'?"):
        materialize(orders, config={"limt": 3})
    with refused(ConfigError, "limit is 'many', not a whole number"):
        materialize(orders, config={"limit": "many"})
    with refused(ConfigError, "asset 'clicks' needs a value for name: give --config name=…", "HEADWATER_CONFIG__NAME"):
        materialize(clicks)
    with refused(ConfigError, "asset 'visits' cannot have window: ValueError: a window has at least one day"):
        materialize(visits, config={"window.days": 0})
    with refused(ConfigError, "'limit' is no config; write key=value"):
        parse(["limit"])
    with refused(ConfigError, "no asset has a parameter 'x'; no asset has any config"):
        materialize(asset(name="one")(lambda: 1), config={"x": 1})


@asset(io=JSONIO("data"))
def fetched(*, token: Secret) -> int:
    if token.reveal().startswith("bad"):
        raise ValueError(f"https://user:{token.reveal()}@host refused")
    return len(token.reveal())


def test_a_secret_is_nowhere_and_yet_decides(events: Events, workdir: Path) -> None:
    materialize(fetched, config={"token": "hunter2-first"}, on_event=events)
    assert materialize(fetched, config={"token": "hunter2-first"})["fetched"].status == "unchanged"
    changed = materialize(fetched, config={"token": "hunter2-second"}, on_event=events)["fetched"]
    assert changed.reason == "config changed: the secret token"
    failed = materialize(fetched, config={"token": "bad-password"}, on_event=events)["fetched"]
    assert failed.status == "failed"
    everywhere = json.dumps(events) + fetched.code_version
    store = (workdir / ".headwater" / "metadata.db").read_bytes()
    for secret in ("hunter2-first", "hunter2-second", "bad-password"):
        assert secret not in everywhere and secret.encode() not in store
    assert "https://user:****@host refused" in events.ending("fetched")["run"]["facets"]["errorMessage"]["message"]


def test_two_stores_digest_one_secret_differently(workdir: Path) -> None:
    for name in ("a.db", "b.db"):
        materialize(fetched, config={"token": "hunter2"}, store=name, force=True)
    versions = set()
    for name in ("a.db", "b.db"):
        connection = sqlite3.connect(name)
        versions.add(connection.execute("SELECT config_version FROM materializations").fetchone()[0])
        connection.close()
    assert len(versions) == 2 and "" not in versions


def test_a_secret_may_be_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    @asset
    def one(token: Secret = Secret(environment="API_TOKEN")) -> int:  # noqa: B008 - as its users write it
        return len(token.reveal())

    with refused(ConfigError, "asset 'one', token: the secret is not there: set the environment variable API_TOKEN"):
        materialize(one)
    monkeypatch.setenv("API_TOKEN", "12345")
    assert materialize(one)["one"].value == 5
    monkeypatch.setenv("HEADWATER_CONFIG__TOKEN", "123")
    assert materialize(one)["one"].value == 3


def test_a_secret_shows_nothing_of_itself() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]} {Config({'a': secret}).shown()}"
    assert pickle.loads(pickle.dumps(secret)) == secret != Secret("other")
    with pytest.raises(TypeError):
        hash(secret)
    with refused(ConfigError, "Secret() takes a text, or environment='NAME'"):
        Secret()


class Colour(Enum):
    RED = "r"


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("3", int, 3),
        ("3.5", float, 3.5),
        (3, float, 3.0),
        ("yes", bool, True),
        ("OFF", bool, False),
        ("2024-02-03", dt.date, dt.date(2024, 2, 3)),
        ("1.10", Decimal, Decimal("1.10")),
        ("a,b", list[str], ["a", "b"]),
        ("1, 2", tuple[int, ...], (1, 2)),
        ("", int | None, None),
        ("5", int | str, 5),
        ("x", int | str, "x"),
        ("r", Colour, Colour.RED),
        ("RED", Colour, Colour.RED),
        ("a", Literal["a", "b"], "a"),
        ("2", Literal[1, 2], 2),
        ("p/q", Path, Path("p/q")),
        ('{"a": 1}', dict[str, int], {"a": 1}),
        ("any", Any, "any"),
    ],
)
def test_texts_become_what_the_annotation_says(text: Any, hint: Any, value: Any) -> None:
    found = convert(text, hint)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("value", "hint", "message"),
    [
        ("maybe", bool, "'maybe', not true or false"),
        ("x", Literal["a", "b"], "'x', not one of a, b"),
        ("x", Colour, "'x', not one of RED"),
        ("1.5", int, "'1.5', not a whole number"),
        (True, int, "True, not a whole number"),
        (3, list[int], "3, not a list like a,b,c"),
        ("x", int | None, "'x', not a whole number"),
        ("later", dt.datetime, "not a time like 2024-12-31T23:59"),
    ],
)
def test_a_value_of_another_type_is_refused(value: Any, hint: Any, message: str) -> None:
    with pytest.raises(ValueError, match="not") as raised:
        convert(value, hint)
    assert message in str(raised.value)
