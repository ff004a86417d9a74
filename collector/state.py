"""The state that a transaction sees, and what is remembered of it.

Every derived row is a function of the stored events, so while no event is added, and ``epoch`` stands (a rebuild or a
prune moves it), a question has the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, func, literal_column, select

from collector import tables
from collector.store.compiled import Among, statement

MOST = 10_000  # answers that are remembered of one state

_MISSING = object()
T = TypeVar("T")


class State(NamedTuple):
    """The same state, the same rows."""

    epoch: int
    event_id: int  # of the newest event


@statement
def _state(among: Among) -> Any:
    epoch = select(tables.store_fact.c.value).where(tables.store_fact.c.name == "epoch").scalar_subquery()
    return select(func.coalesce(epoch, literal_column("0")), func.coalesce(func.max(tables.event.c.id), 0))


def state_of(connection: Connection) -> State:
    """The store's state as this transaction sees it: one statement."""
    return State(*_state(connection)[0])


_remembered: WeakKeyDictionary[Engine, tuple[State, dict[Hashable, Any]]] = WeakKeyDictionary()


def remembered(connection: Connection, question: Hashable, ask: Callable[[], T]) -> T:
    """The answer to ``question``, asked once in each state: for what is small and dear, such as counts."""
    state = state_of(connection)
    found = _remembered.get(connection.engine)
    if found is None or found[0] != state:
        found = _remembered[connection.engine] = state, {}
    answers = found[1]
    answer = answers.get(question, _MISSING)
    if answer is _MISSING:
        if len(answers) >= MOST:
            answers.clear()  # by another thread too, at any time
        answer = answers[question] = ask()
    return cast(T, answer)


def forget(engine: Engine) -> None:
    """Have each question asked anew, as after an event: to measure what that costs."""
    _remembered.pop(engine, None)
