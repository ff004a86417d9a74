"""The code version: what changes it and what does not. Each case is a file that is loaded as a pipeline is."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from emitter import load_pipeline

ROOT = Path(__file__).parents[2]
HEAD = "from emitter import asset\n"


def code_version(folder: Path, text: str, name: str = "orders") -> str:
    """The code version of an asset in a file of this text; the file is another one each time."""
    path = folder / f"pipeline_{len(list(folder.iterdir()))}.py"
    path.write_text(HEAD + textwrap.dedent(text))
    return load_pipeline(path)[name].code_version


BASE = """
    LIMIT = 10

    def half(number):
        return number / 2

    class Rate:
        percent = 5

        def of(self, number):
            return number * self.percent

    @asset
    def orders():
        return [half(LIMIT), Rate().of(1)]
"""


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            ("return [half(LIMIT), ", "# a comment\n        return [half(  LIMIT ),\n            "), id="format"
        ),
        pytest.param(("def orders():", 'def orders():\n        """Now documented."""'), id="docstring"),
        pytest.param(("def half(number):", 'def half(number):\n        """Documented."""'), id="docstring of a helper"),
        pytest.param(("@asset\n", "@asset(version='7', tags=['daily'])\n"), id="what is declared"),
        pytest.param(("LIMIT = 10", "import math\n\n    UNUSED = 3\n    LIMIT = 10"), id="what is not used"),
        pytest.param(("    LIMIT = 10", "    def other():\n        return 1\n\n    LIMIT = 10"), id="another place"),
        pytest.param(("LIMIT = 10", "LIMIT = 10  # ten"), id="comment on a constant"),
    ],
)
def test_what_means_the_same_has_the_same_fingerprint(workdir: Path, change: tuple[str, str]) -> None:
    assert BASE.replace(*change) != BASE
    assert code_version(workdir, BASE.replace(*change)) == code_version(workdir, BASE)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("half(LIMIT)", "half(LIMIT + 1)"), id="the function"),
        pytest.param(("number / 2", "number / 3"), id="a helper that it calls"),
        pytest.param(("LIMIT = 10", "LIMIT = 11"), id="a constant that it uses"),
        pytest.param(("percent = 5", "percent = 6"), id="an attribute of a class that it uses"),
        pytest.param(("number * self.percent", "number + self.percent"), id="a method of a class that it uses"),
        pytest.param(("def orders():", "def orders(limit=3):"), id="a default"),
    ],
)
def test_what_may_mean_something_else_has_another_fingerprint(workdir: Path, change: tuple[str, str]) -> None:
    assert BASE.replace(*change) != BASE
    assert code_version(workdir, BASE.replace(*change)) != code_version(workdir, BASE)


def test_helpers_of_helpers_and_constants_of_constants_count(workdir: Path) -> None:
    text = """
        A = 1
        B = A + 1

        def inner():
            return B

        def outer():
            return inner()

        @asset
        def orders():
            return outer()
    """
    base = code_version(workdir, text)
    assert code_version(workdir, text.replace("A = 1", "A = 2")) != base
    assert code_version(workdir, text.replace("return B", "return B + B")) != base


def test_functions_that_call_each_other_have_a_fingerprint(workdir: Path) -> None:
    text = """
        def even(n):
            return n == 0 or odd(n - 1)

        def odd(n):
            return n != 0 and even(n - 1)

        @asset
        def orders():
            return even(4)
    """
    assert code_version(workdir, text) != code_version(workdir, text.replace("n != 0", "n > 0"))


def test_the_code_of_an_upstream_asset_is_not_its_own(workdir: Path) -> None:
    text = """
        @asset
        def raw():
            return 1

        @asset
        def orders(raw):
            return [raw for raw in [raw]]
    """
    assert code_version(workdir, text) == code_version(workdir, text.replace("return 1", "return 2"))


def test_the_expression_of_a_global_counts_and_not_its_value(workdir: Path) -> None:
    text = """
        import uuid

        RUN = uuid.uuid4().hex

        @asset
        def orders():
            return RUN
    """
    assert code_version(workdir, text) == code_version(workdir, text)


def test_what_a_closure_holds_counts(workdir: Path) -> None:
    text = """
        def make(name, limit):
            @asset(name=name)
            def orders():
                return limit
            return orders

        assets = [make("orders", 1), make("more", 2), make("same", 1)]
    """
    one, two, three = (code_version(workdir, text, name) for name in ("orders", "more", "same"))
    assert one != two
    assert one == three


def test_a_partials_arguments_count(workdir: Path) -> None:
    text = """
        from functools import partial

        def load(table):
            return table

        assets = [asset(name="orders")(partial(load, table="a")), asset(name="more")(partial(load, table="b"))]
    """
    assert code_version(workdir, text) != code_version(workdir, text, "more")


def test_a_decorator_of_the_same_module_counts(workdir: Path) -> None:
    text = """
        import functools

        def doubled(function):
            @functools.wraps(function)
            def wrapper():
                return 2 * function()
            return wrapper

        @asset
        @doubled
        def orders():
            return 1
    """
    base = code_version(workdir, text)
    assert code_version(workdir, text.replace("2 *", "3 *")) != base
    assert code_version(workdir, text.replace("return 1", "return 2")) != base


def test_a_cached_helper_counts(workdir: Path) -> None:
    text = """
        import functools

        @functools.lru_cache
        def rate():
            return 5

        @asset
        def orders():
            return rate()
    """
    assert code_version(workdir, text) != code_version(workdir, text.replace("return 5", "return 6"))


def test_the_fields_of_a_dataclass_and_the_members_of_an_enum_count(workdir: Path) -> None:
    text = """
        from dataclasses import dataclass
        from enum import Enum

        @dataclass
        class Order:
            price: int = 3

        class Color(Enum):
            RED = 1

        @asset
        def orders():
            return [Order().price, Color.RED.value]
    """
    base = code_version(workdir, text)
    assert base == code_version(workdir, text)
    assert code_version(workdir, text.replace("price: int = 3", "price: int = 4")) != base
    assert code_version(workdir, text.replace("RED = 1", "RED = 2")) != base


def test_a_file_has_the_same_fingerprint_as_a_script_and_as_a_pipeline(workdir: Path) -> None:
    text = """
        from dataclasses import dataclass

        @dataclass
        class Order:
            price: int

        def rate():
            return 2

        @asset
        def orders(cls=Order, function=rate):
            return cls(function())

        if __name__ == "__main__":
            print(orders.code_version)
    """
    expected = code_version(workdir, text)
    (script,) = workdir.glob("*.py")
    done = subprocess.run(
        [sys.executable, script], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected


def test_lambdas_on_one_line_differ(workdir: Path) -> None:
    text = """
        assets = [asset(name="orders")(lambda: 1), asset(name="more")(lambda: 2)]
    """
    assert code_version(workdir, text) != code_version(workdir, text, "more")


def test_without_source_the_byte_code_counts() -> None:
    from emitter.fingerprint import fingerprint

    def compiled(text: str) -> str:
        names: dict[str, object] = {"__name__": "typed"}
        exec(text, names)
        return fingerprint(names["f"])  # type: ignore[arg-type]

    assert compiled("def f(): return 1") == compiled("def f():\n\n    return 1")
    assert compiled("def f(): return 1") != compiled("def f(): return 2")


def test_the_fingerprint_is_the_same_in_another_process(workdir: Path) -> None:
    text = HEAD + textwrap.dedent(
        """
        def pick():
            return {"a", "b", "c"}

        @asset
        def orders(x={"one", "two"}, y=frozenset({"three", "four"})):
            return pick()
        """
    )
    (workdir / "pipeline.py").write_text(text)
    script = f"import emitter; print(emitter.load_pipeline({str(workdir / 'pipeline.py')!r})['orders'].code_version)"
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1
