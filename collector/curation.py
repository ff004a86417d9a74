"""What people say by hand of a dataset or job: facets of our own, one a statement, so that two people's edits merge.

Producers do not send them, so no later event replaces them; each is the newest by time, like any facet. They are not
shown among a thing's facets but in its own fields. Pure.

``headwater_curated/hidden``                  DELETE: hidden until something newer mentions the thing
``headwater_curated/told``                    what a legacy PUT says that no standard facet holds
``headwater_curated/description/{field}``     a description; field empty: the thing's own
``headwater_curated/tag/{field}/{tag}``       a tag that was set, or taken away
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from collector.keys import FIELD_BYTES, clean_name

PREFIX = "headwater_curated/"
HIDDEN = f"{PREFIX}hidden"
TOLD = f"{PREFIX}told"
_TAG = f"{PREFIX}tag/"
_DESCRIPTION = f"{PREFIX}description/"

JSON = dict[str, Any]


class Told(msgspec.Struct):
    """``headwater_curated/told``."""

    type: str | None = None
    physicalName: str | None = None
    schemaLocation: str | None = None


class _Switch(msgspec.Struct):
    set: bool = True


class _Text(msgspec.Struct):
    description: str | None = None


class Curated(msgspec.Struct):
    """What was said by hand: ``tags`` by field and name (whether set), descriptions by field; field '' is the thing."""

    told: Told | None = None
    tags: dict[str, dict[str, bool]] = {}
    descriptions: dict[str, str | None] = {}

    def tagged(self, field: str, names: Collection[str]) -> list[str]:
        """``names``, which producers gave, with those set by hand and without those taken away; sorted."""
        said = self.tags.get(field)
        if not said:
            return sorted(set(names)) if names else []
        return sorted({name for name in names if said.get(name, True)} | {name for name, on in said.items() if on})

    def described(self, field: str, by_producer: str | None) -> str | None:
        """The description by hand, else the producer's."""
        return self.descriptions.get(field) or by_producer


NOTHING = Curated()


def is_curated(name: str) -> bool:
    """Whether a facet is one of these."""
    return name.startswith(PREFIX)


def is_tag_facet(name: str) -> bool:
    """Whether a facet sets a tag or takes one away."""
    return name.startswith(_TAG)


def is_aside(facets: Collection[str]) -> bool:
    """Whether an event with these facets says nothing but tags and the like, so that it makes no version."""
    return bool(facets) and all(name.startswith(PREFIX) and name != TOLD for name in facets)


def tag_facet(tag: str, field: str = "") -> str:
    """The facet name that speaks of one tag of one field."""
    return f"{_TAG}{_part(field)}/{_part(tag)}"


def description_facet(field: str = "") -> str:
    """The facet name of a description."""
    return f"{_DESCRIPTION}{_part(field)}"


def _part(text: str) -> str:
    return quote(clean_name(text, FIELD_BYTES), safe="")


def read_curated(facets: Iterable[tuple[str, bytes]]) -> Curated:
    """From the curated facets of a thing, as (name, raw JSON)."""
    found = Curated(None, {}, {})
    for name, raw in facets:
        if name.startswith(_TAG):
            field, _, tag = name[len(_TAG) :].partition("/")
            found.tags.setdefault(unquote(field), {})[unquote(tag)] = _read(raw, _Switch).set
        elif name.startswith(_DESCRIPTION):
            found.descriptions[unquote(name[len(_DESCRIPTION) :])] = _read(raw, _Text).description
        elif name == TOLD:
            found.told = _read(raw, Told)
    return found


def _read(raw: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError:
        return kind()
