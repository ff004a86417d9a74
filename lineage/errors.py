"""The root of every error that Headwater raises on purpose.

HeadwaterError
├── lineage.errors.InvalidNodeId, UnknownNode
├── lineage.errors.InvalidDepth, DuplicateNode, CycleFound, InvalidDiagram, ImagesMissing
├── lineage.errors.UnreadableSQL
├── emitter.errors.*      (asset graph, pipeline, IO and check errors)
└── collector.errors.*    (refused events, unavailable store, bad queries)
"""

from __future__ import annotations

from collections.abc import Sequence


class HeadwaterError(Exception):
    """Something a user can mend; the message says what, where and how."""


class InvalidNodeId(HeadwaterError):
    """A node id that is not ``dataset:{namespace}:{name}``, ``job:…``, ``datasetField:…`` or ``run:{uuid}``."""


class UnknownNode(HeadwaterError):
    """A node that the graph does not hold."""


class InvalidDepth(HeadwaterError):
    """A depth that is not a whole number of steps, 0 or more."""


class DuplicateNode(HeadwaterError):
    """Two different nodes that carry one id."""


class InvalidDiagram(HeadwaterError):
    """A diagram that cannot be drawn as asked: an unknown direction, or a budget too small for any diagram."""


class UnreadableSQL(HeadwaterError):
    """SQL that cannot be parsed, as a message that follows "the SQL of …"."""


class ImagesMissing(HeadwaterError):
    """Pictures are drawn by Graphviz, and there is none."""


class CycleFound(HeadwaterError):
    """A graph that has no order, because some nodes come before themselves.

    ``path`` is one such cycle along the data, its first node repeated at the end: ``("a", "b", "a")``.
    """

    #: Ids shown in the message; a cycle of thousands is cut in the middle.
    SHOWN = 20

    def __init__(self, path: Sequence[str]) -> None:
        self.path = list(path)
        shown = self.path
        if len(shown) > self.SHOWN:
            half = self.SHOWN // 2
            shown = [*shown[:half], f"… {len(shown) - 2 * half} more …", *shown[-half:]]
        super().__init__(f"the graph has a cycle: {' → '.join(shown)}; remove one of these edges")

    def __reduce__(self) -> tuple[type[CycleFound], tuple[list[str]]]:
        # Errors cross process boundaries (the executor's process pool); args hold the message, not the path.
        return type(self), (self.path,)
