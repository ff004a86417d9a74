"""The documentation keeps up with the commands: help, examples, pages, and what the pages say to type."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import requests

import headwater as command_line
from tests.cli.conftest import Headwater
from tests.mermaid_parser import parse_all

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")


def load(name: str) -> click.Command:
    command = command_line.main.get_command(click.Context(command_line.main), name)
    assert command is not None
    return command


def every_command() -> Iterator[tuple[str, click.Command]]:
    """Every command by the words that call it, sub-commands of groups too."""

    def below(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield words, command
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                yield from below(f"{words} {name}", inner)

    for name in command_line.COMMANDS:
        yield from below(name, load(name))


def blocks(language: str) -> list[tuple[Path, str]]:
    """The fenced blocks of a language in every page."""
    return [(page, text) for page in PAGES for kind, text in FENCE.findall(page.read_text()) if kind == language]


def typed() -> Iterator[tuple[Path, str]]:
    """Every command line that a page says to type: after ``$``, continued lines joined."""
    for page, text in blocks("console"):
        joined = re.sub(r"\\\n\s*", " ", text)
        yield from ((page, line[2:]) for line in joined.splitlines() if line.startswith("$ "))


@pytest.mark.parametrize(("name", "command"), list(every_command()))
def test_command_has_help_an_example_and_every_option_a_description(name: str, command: click.Command) -> None:
    assert command.help, name
    assert command.short_help, name
    assert command.epilog and f"headwater {name}" in command.epilog, f"{name} has no example"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[0]}"


@pytest.mark.parametrize("name", list(command_line.COMMANDS))
def test_list_of_commands_says_what_the_command_says(name: str) -> None:
    assert load(name).short_help == command_line.COMMANDS[name][1]
    assert load(name).name == name


@pytest.mark.parametrize("name", list(command_line.COMMANDS))
def test_command_is_in_the_docs(name: str) -> None:
    assert f"| `headwater {name}` |" in (ROOT / "docs" / "index.md").read_text()
    others = [page for page in PAGES if page.name != "index.md" and f"headwater {name}" in page.read_text()]
    assert others, f"no page shows 'headwater {name}'"


@pytest.mark.parametrize(("name", "command"), list(every_command()))
def test_examples_of_the_help_are_valid(
    name: str, command: click.Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [
        line.strip() for line in (command.epilog or "").splitlines() if re.match(r" +\S+.*headwater|  headwater", line)
    ]
    assert lines
    for line in lines:
        check(line)


def test_commands_of_the_pages_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [(page, line) for page, line in typed() if "headwater" in line]
    assert len(lines) > 20
    for page, line in lines:
        check(line, page.name)


def check(line: str, where: str = "") -> None:
    """Parse a command line as click does when it is run: names, options, values; the files that it names are there."""
    words = shlex.split(line.split("  ")[0])
    for word in words:
        if word.endswith((".ndjson", ".gz", ".py")) and "=" not in word and "*" not in word:
            Path(word).touch()
    while words[0] != "headwater":
        words = words[1:]
    for number, word in enumerate(words):
        if word in ("|", ">", "&&"):
            words = words[:number]
            break
    command: click.Command = command_line.main
    words = words[1:]
    try:
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            found = command.get_command(click.Context(command), words[0])
            assert found is not None, f"{where}: {line}"
            command, words = found, words[1:]
        command.make_context("headwater", list(words))
    except click.exceptions.Exit:  # --help
        pass
    except click.ClickException as error:
        pytest.fail(f"{where}: {line}: {error.format_message()}")


def test_diagrams_of_the_pages_are_drawn() -> None:
    found = blocks("mermaid")
    assert {page.name for page, _ in found} >= {"README.md", "diagrams.md"}
    for (page, _), drawn in zip(found, parse_all([text for _, text in found]), strict=True):
        assert drawn.ok, f"{page.name}: {drawn.error}"
        assert drawn.nodes


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in LINK.findall(page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_first_asset_runs_as_it_stands(headwater: Headwater, tmp_path: Path) -> None:
    scripts = [(page, text) for page, text in blocks("python") if text.startswith("# shop.py")]
    assert [page.name for page, _ in scripts] == ["README.md", "first-asset.md"]
    assert scripts[0][1] == scripts[1][1]
    (tmp_path / "shop.py").write_text(scripts[0][1])

    done = headwater("run", "shop.py")

    assert done.returncode == 0, done.stdout + done.stderr
    for page, _ in scripts:  # the tables that the pages show are what is printed, but for the seconds
        table = page.read_text().partition("asset       status")[2].partition("```")[0]
        for line in table.strip().splitlines()[1:4]:
            assert seconds_apart(line) in seconds_apart(done.stdout), line


def seconds_apart(text: str) -> str:
    return re.sub(r" +\d\.\d\d", "", text)


def test_python_of_the_pages_runs(tmp_path: Path, collector: str) -> None:
    (tmp_path / "shop.py").write_text(next(text for _, text in blocks("python") if text.startswith("# shop.py")))
    for page, text in blocks("python"):
        if not text.startswith("# shop.py"):
            done = subprocess.run(
                [sys.executable, "-c", text.replace("http://localhost:5000", collector)],
                cwd=tmp_path,
                env={**os.environ, "OPENLINEAGE_URL": collector, "HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == 0, f"{page.name}: {done.stderr}"
    answer = requests.get(
        f"{collector}/api/v1/lineage/upstream", params={"nodeId": "dataset:s3://lake:export"}, timeout=10
    )
    assert {node["name"] for node in answer.json()["nodes"]} == {"export", "nightly_export", "shop.public.orders"}
