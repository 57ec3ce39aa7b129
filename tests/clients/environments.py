"""Where other people's clients are installed, and how: `python -m tests.clients.environments` makes what is missing.

Each environment has a stamp with the digest of what it was made from; if that changes, it is made anew.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "clients"
NODE = HERE / "node"  # its modules must lie beside the programs, or Node does not find them
AGENTS = CACHE / "agents"


@dataclass(frozen=True, slots=True)
class Environment:
    """One set of packages. `command` runs a program of it."""

    name: str
    folder: Path  # made anew, and with it the stamp
    sources: tuple[Path, ...]
    command: tuple[str, ...]
    make: Callable[[], None]
    tool: str  # without which it cannot be made

    @property
    def stamp(self) -> Path:
        return self.folder / ".stamp"

    @property
    def digest(self) -> str:
        return hashlib.sha256(b"".join(source.read_bytes() for source in self.sources)).hexdigest()

    @property
    def ready(self) -> bool:
        made = self.stamp.exists() and self.stamp.read_text() == self.digest
        return made and shutil.which(self.command[0]) is not None

    def install(self) -> None:
        """Raises CalledProcessError with the installer's own words above it."""
        self.make()
        self.stamp.write_text(self.digest)


def _python(name: str) -> Environment:
    folder, wanted = CACHE / name, HERE / "requirements" / f"{name}.txt"

    def make() -> None:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)])

    return Environment(name, folder, (wanted,), (str(folder / "bin" / "python"),), make, sys.executable)


def _node() -> Environment:
    sources = (NODE / "package.json", NODE / "package-lock.json")
    return Environment("node", NODE / "node_modules", sources, ("node",), lambda: _npm(NODE), "npm")


def _agents() -> Environment:
    """Coding agents, of exact versions; a lock file would name packages for every platform, which not every registry has.

    Their scripts are not run, but Claude Code's, which puts its program where its package says.
    """
    wanted = HERE / "agents"
    sources = (wanted / "package.json",)

    def make() -> None:
        shutil.rmtree(AGENTS, ignore_errors=True)
        AGENTS.mkdir(parents=True)
        for source in (*sources, wanted / ".npmrc"):
            shutil.copy(source, AGENTS)
        _npm(AGENTS, "--ignore-scripts", "--no-package-lock", command="install")
        claude = AGENTS / "node_modules" / "@anthropic-ai" / "claude-code"
        subprocess.run(["node", "install.cjs"], cwd=claude, check=True, stdout=subprocess.DEVNULL)

    return Environment("agents", AGENTS / "node_modules", sources, ("node",), make, "npm")


def _command_line(name: str) -> Environment:
    """A program of npm's, alone in a folder of its own."""
    folder, wanted = CACHE / name, HERE / "requirements" / name
    sources = (wanted / "package.json", wanted / "package-lock.json")

    def make() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for source in (*sources, wanted / ".npmrc"):
            shutil.copy(source, folder)
        _npm(folder)

    return Environment(name, folder, sources, (str(folder / "node_modules" / ".bin" / name),), make, "npm")


def _npm(folder: Path, *options: str, command: str = "ci") -> None:
    _run(["npm", command, "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder), *options])


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True)


FRAMEWORKS, LLAMA_INDEX, NODE_MODULES = _python("frameworks"), _python("llama-index"), _node()
DIALECTS = _python("dialects")
CODEX, CODING_AGENTS = _command_line("codex"), _agents()
ENVIRONMENTS = (FRAMEWORKS, LLAMA_INDEX, DIALECTS, NODE_MODULES, CODEX, CODING_AGENTS)


def main() -> None:
    for environment in ENVIRONMENTS:
        if environment.ready:
            continue
        if shutil.which(environment.tool) is None:
            print(f"{environment.name}: {environment.tool} is not installed; its clients are skipped.")
            continue
        print(f"{environment.name}: installing")
        environment.install()


if __name__ == "__main__":
    main()
