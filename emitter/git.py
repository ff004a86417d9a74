"""Where a file is in a Git repository, for the sourceCodeLocation facet; read from ``.git``, no command is run."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit


@dataclass(frozen=True, slots=True)
class GitLocation:
    """A file's place: `url` in the browser, the repository's own, the path in it, the commit, its branch and tag."""

    url: str
    repository: str
    path: str
    version: str | None
    branch: str | None
    tag: str | None


@functools.lru_cache(maxsize=1024)
def git_location(file: str) -> GitLocation | None:
    """The place of a file in the repository that holds it; None if there is none, or none that has a web address."""
    from openlineage.client.git import get_git_branch, get_git_repo_url, get_git_tag, get_git_version

    path = Path(file).absolute()
    root = next((folder for folder in path.parents if (folder / ".git").exists()), None)
    if root is None or not path.is_file() or not (root / ".git").is_dir():  # a file: a submodule or linked worktree
        return None
    git = root / ".git"
    repository = web_address(get_git_repo_url(git_dir=git) or "")
    if repository is None:
        return None
    inner = path.relative_to(root).as_posix()
    version = get_git_version(git)
    view = "/-/blob/" if "gitlab" in (urlsplit(repository).hostname or "") else "/blob/"
    url = f"{repository}{view}{version}/{quote(inner)}" if version else repository
    return GitLocation(url, repository, inner, version, get_git_branch(git), get_git_tag(git))


def web_address(remote: str) -> str | None:
    """A Git remote as https address without user and password; None for one that is not on a host (a folder, say)."""
    short = re.fullmatch(r"(?:[^@/]+@)?([^/:]+):(?!//)(?!\\)(.+)", remote)
    if short and "." in short[1]:
        host, path = short[1], short[2]
    else:
        try:
            parts = urlsplit(remote)
            port = f":{parts.port}" if parts.port and parts.scheme in ("http", "https") else ""
        except ValueError:
            return None
        if parts.scheme not in ("http", "https", "ssh", "git") or not parts.hostname:
            return None
        host, path = f"{parts.hostname}{port}", parts.path
    return f"https://{host}/{path.strip('/').removesuffix('.git')}"
