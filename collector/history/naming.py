"""From a node id's text to a version of a dataset: by its name, our UUID, a checksum, its run, or a time."""

from __future__ import annotations

import re
import uuid

from collector import keys
from collector.errors import BadQuery, BadTime, CollectorError, NotFound
from collector.history.moment import Moment
from collector.history.versions import BY_CHECKSUM, BY_VERSION, Limit, Version, Versions
from collector.lookup import Found, find_node, names_of
from collector.versions import version_key
from lineage.nodes import NodeKind

CHECKSUM_START = 6  # the fewest characters of a checksum's value that name it
_SHOWN = 5  # newest versions that a refusal names
_HEX = re.compile(r"[0-9a-fA-F]+")


def find_version(versions: Versions, text: str) -> tuple[Found, Version | None]:
    """The dataset and the version that ``dataset:{namespace}:{name}[#version|@time|#@time]`` names; without either, the
    newest, None where nobody wrote the dataset.

    ``version`` is what the producer named it, our UUID, a checksum (``algorithm:value``, its value, or its start),
    or the id of the run that wrote it; of several, the newest.

    Raises:
        BadQuery: no node id, or not of a dataset.
        NotFound: no such dataset or version, or none by then.
    """
    found, name, at_us = _find_dataset(versions, text)
    if at_us is not None:
        one = versions.before([limit := Limit(found.id, min(at_us, versions.moment.as_of_us))]).get(limit)
        if one is None:
            raise NotFound(
                f"Dataset '{found.node.name}' had no version at {keys.isoformat(at_us)}; {_known(versions, found)}"
            )
        return found, one
    if name is None:
        return found, versions.newest([found.id]).get(found.id)
    one = _by_name(versions, found.id, name)
    if one is None:
        raise NotFound(
            f"Dataset '{found.node.name}' has no version '{name[:200]}'{_then(versions.moment)}; "
            f"{_known(versions, found)}"
        )
    return found, one


def _find_dataset(versions: Versions, text: str) -> tuple[Found, str | None, int | None]:
    """The dataset, and a version's name or a time."""
    connection = versions.connection
    head, at, tail = text.rpartition("@")
    at_us: int | None = None
    if at:
        try:
            at_us = keys.microseconds(tail.replace(" ", "+"))
        except BadTime as error:
            if head.endswith("#"):
                raise BadQuery(f"nodeId: {error}.", {"nodeId": [f"{error}."]}) from None
    try:
        found = find_node(connection, text, (NodeKind.DATASET,))
    except CollectorError:
        if at_us is None:
            raise
        return find_node(connection, head.removesuffix("#"), (NodeKind.DATASET,)), None, at_us
    if found.node.version is not None and found.node.version.startswith("@") and at_us is not None:
        return found, None, at_us
    return found, found.node.version, None


def _by_name(versions: Versions, dataset: int, name: str) -> Version | None:
    limit = Limit(dataset, versions.moment.as_of_us)
    asked = [(limit, BY_VERSION, keys.clean_name(name)), (limit, BY_CHECKSUM, keys.clean_name(name))]
    named = versions.named(asked)
    if found := [named[one] for one in asked if one in named]:
        return found[0]
    try:
        key = uuid.UUID(name).bytes
    except ValueError:
        key = None
    if key is not None:
        masked = {version_key(one, key) for one in names_of(versions.connection, dataset)}
        made = versions.by_key(dataset, [*masked, key])
        ours = [one for one in made if one.uuid == str(uuid.UUID(bytes=key))]
        if made:
            return max(ours or made, key=lambda one: one.order)
    elif len(name) >= CHECKSUM_START and _HEX.fullmatch(name):
        return max(versions.with_checksum_value(dataset, name.lower()), key=lambda one: one.order, default=None)
    if key is None and (by_run := versions.by_key(dataset, [keys.run_key(name)])):
        return max(by_run, key=lambda one: one.order)
    return None


def _then(moment: Moment) -> str:
    return "" if moment.is_now else " at that moment"


def _known(versions: Versions, found: Found) -> str:
    """What there is, for a refusal."""
    known = versions.history(found.id)
    if not known:
        return "it has none" + _then(versions.moment) + "."
    names = ", ".join(_short(one) for one in known[: -_SHOWN - 1 : -1])
    first = keys.isoformat(known[0].at_us)
    return f"the newest of its {len(known):,} are {names}; the first is of {first}."


def _short(one: Version) -> str:
    return (one.version or one.checksum or one.uuid)[:60]
