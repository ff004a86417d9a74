"""The argument that both commands take: a pipeline file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from emitter.graph import AssetGraph


def load(path: str) -> AssetGraph:
    """The pipeline's graph. What is not there is a usage error; one that does not import is PipelineError."""
    from emitter.errors import PipelineError
    from emitter.pipeline import load_pipeline

    try:
        return load_pipeline(path)
    except PipelineError as error:
        if os.path.isfile(path) or "does not import" in str(error):
            raise
        raise click.UsageError(str(error)) from error
