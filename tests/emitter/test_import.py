"""What `import emitter` costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()} | set(done.stdout.split())


def test_importing_the_emitter_loads_no_server_no_table_library_and_no_client() -> None:
    loaded = loaded_by("import emitter")
    unwanted = {"flask", "collector", "sqlalchemy", "pandas", "polars", "pyarrow", "numpy", "openlineage", "requests"}
    assert loaded & unwanted == set()


def test_a_materialization_without_lineage_and_tables_does_not_load_them_either(tmp_path: Path) -> None:
    loaded = loaded_by(
        "from emitter import asset, materialize\n"
        "@asset\ndef answer(): return 42\n"
        f"assert materialize([answer], store={str(tmp_path / 'metadata.db')!r}).succeeded"
    )
    assert loaded & {"flask", "collector", "pandas", "polars", "pyarrow", "numpy", "openlineage", "requests"} == set()


def test_everything_promised_can_be_imported() -> None:
    import emitter

    assert [name for name in emitter.__all__ if not hasattr(emitter, name)] == []
