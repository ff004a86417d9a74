"""``headwater outbox``, and ``headwater run`` through it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.outbox.events import emit, transport
from tests.outbox.far_end import FarEnd, refusing

ROOT = Path(__file__).parent.parent.parent


def headwater(*arguments: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headwater", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_status_says_what_waits_and_why(path: Path) -> None:
    with refusing() as url:
        sender = transport(path, url)
        emit(sender, 3)
        sender.close()
        done = headwater("outbox", "status", "--path", str(path))
        assert done.returncode == 0, done.stderr
        assert "3 waiting" in done.stdout and f"{url}/api/v1/lineage" in done.stdout
        assert "connection refused" in done.stdout
        document = json.loads(headwater("outbox", "status", "--json", "--path", str(path)).stdout)
    (found,) = document["destinations"]
    assert (document["waiting"], found["waiting"], found["delivered"], found["dropped"]) == (3, 3, 0, {})
    assert found["error"] == "connection refused" and found["oldest"].endswith("Z")


def test_flush_sends_what_waits_with_the_key_of_the_environment(path: Path) -> None:
    with refusing() as url:
        sender = transport(path, url)
        emit(sender, 5)
        sender.close()
        done = headwater("outbox", "flush", "--path", str(path))
        assert done.returncode == 1
        assert "0 sent, 5 wait still (connection refused)" in done.stdout
    with FarEnd(port=int(url.rpartition(":")[2])) as server:
        done = headwater("outbox", "flush", "--path", str(path), OPENLINEAGE_API_KEY="k3y")
        assert done.returncode == 0 and "5 sent" in done.stdout
        assert server.jobs() == [f"j{number}" for number in range(5)]
        assert {headers["Authorization"] for _, headers, _ in server.requests} == {"Bearer k3y"}
        assert headwater("outbox", "flush", "--path", str(path)).stdout == "Nothing waits.\n"


def test_flush_uses_the_credentials_of_the_configuration(path: Path, workdir: Path) -> None:
    with refusing() as url:
        sender = transport(path, url)
        emit(sender, 1)
        sender.close()
    (workdir / "openlineage.yml").write_text(
        f"transport:\n  type: http\n  url: {url}\n  auth: {{type: api_key, apiKey: other}}\n"
    )
    with FarEnd(port=int(url.rpartition(":")[2])) as server:
        done = headwater("outbox", "flush", "--path", str(path), "--json", folder=workdir)
        assert json.loads(done.stdout)["destinations"][0]["sent"] == 1
        assert [headers["Authorization"] for _, headers, _ in server.requests] == ["Bearer other"]


def test_refused_events_are_shown_and_tried_again(path: Path, far_end: FarEnd) -> None:
    far_end.answer = lambda event: 422 if event["job"]["name"] == "j1" else 201
    sender = transport(path, far_end.url)
    emit(sender, 3)
    assert sender.close(5)
    shown = headwater("outbox", "status", "--path", str(path)).stdout
    assert "refused    1" in shown and "refused 1: HTTP 200" in shown
    far_end.answer = lambda event: 201
    assert "1 wait again" in headwater("outbox", "retry", "--path", str(path)).stdout
    assert headwater("outbox", "retry", "99", "--json", "--path", str(path)).stdout == '{"retried": 0}\n'
    assert headwater("outbox", "flush", "--path", str(path)).returncode == 0
    assert far_end.jobs() == ["j0", "j2", "outbox", "j1"]
    assert far_end.numbers()[-1] == 2


def test_outbox_that_is_not_there_or_damaged_is_said_to_be(path: Path, workdir: Path) -> None:
    done = headwater("outbox", "status", folder=workdir)
    assert done.returncode == 1 and "there is no outbox" in done.stderr
    assert not (workdir / ".headwater").exists()
    path.write_bytes(b"no database, a text " * 500)
    for command in ("status", "flush", "retry"):
        done = headwater("outbox", command, "--path", str(path))
        assert done.returncode == 1 and "is damaged" in done.stderr and "Traceback" not in done.stderr


def test_run_leaves_its_events_for_the_next(workdir: Path) -> None:
    (workdir / "p.py").write_text("from emitter import asset\n@asset\ndef one():\n    return 1\n")
    with refusing() as url:
        done = headwater("run", "p.py", "--collector", url, "--json", folder=workdir)
        assert done.returncode == 0
        assert (json.loads(done.stdout)["eventsWaiting"], json.loads(done.stdout)["eventsFailed"]) == (4, 0)
        assert (workdir / ".headwater" / "outbox.db").exists()
        told = headwater("run", "p.py", "--collector", url, folder=workdir).stdout
        assert "4 lineage events wait in the outbox" in told and "headwater outbox flush" in told
    with FarEnd(port=int(url.rpartition(":")[2])) as server:
        done = headwater("run", "p.py", "--collector", url, "--json", folder=workdir)
        assert json.loads(done.stdout)["eventsWaiting"] == 0
        assert server.numbers() == list(range(1, 13))


def test_settings_of_the_page_are_those_of_the_configuration() -> None:
    import attr

    from emitter.outbox import OutboxConfig

    page = (ROOT / "docs" / "outbox.md").read_text()
    defaults = dict(re.findall(r"^\| `(\w+)` \| `?([^`|]+?)`? \|", page, re.MULTILINE))
    fields = {field.name: field.default for field in attr.fields(OutboxConfig)}
    assert set(defaults) <= set(fields)
    for name, text in defaults.items():
        assert str(fields[name]).lower().removesuffix(".0") == text, name
    shared = set(fields) - set(defaults) - {"problem"}
    assert all(f"`{name}`" in page for name in shared)


def test_configurations_of_the_page_work(workdir: Path) -> None:
    from openlineage.client import OpenLineageClient

    from emitter.outbox import OutboxTransport

    page = (ROOT / "docs" / "outbox.md").read_text()
    (workdir / "openlineage.yml").write_text(re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[0])
    transport = OpenLineageClient().transport
    assert isinstance(transport, OutboxTransport) and transport.config.problem is None
    (shell,) = re.findall(r"^```sh\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    code = "from openlineage.client import OpenLineageClient as C; c = C().transport.config; print(c.path, c.problem)"
    done = subprocess.run(
        ["bash", "-c", f'{shell}\n"{sys.executable}" -c "{code}"'],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "/var/lib/lineage/outbox.db None\n", done.stderr
