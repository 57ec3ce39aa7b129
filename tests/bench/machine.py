"""What processes cost: CPU time, memory and open sockets of a process and all it started; and what machine this is."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

MB = 1024 * 1024


def tree(pid: int) -> list[int]:
    """The process and its descendants, as they are now."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for one in found:
        found.extend(children.get(one, ()))
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:  # it has ended meanwhile
                continue
            yield int(entry.name), int(stat.rpartition(")")[2].split()[1])


def cpu(pids: list[int]) -> float:
    """Seconds of CPU that the processes have used, all threads, in ns resolution."""
    return sum(map(_cpu, pids))


def _cpu(pid: int) -> float:
    # clock_getcpuclockid(3), spelled out: Python has no name for another process's clock.
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def rss(pids: list[int]) -> float:
    """Resident MB now."""
    return sum(_status(pid, "VmRSS:") for pid in pids)


def peak_rss(pids: list[int]) -> float:
    """Highest resident MB since `forget_peak`."""
    return sum(_status(pid, "VmHWM:") for pid in pids)


def forget_peak(pids: list[int]) -> None:
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def sockets(pids: list[int]) -> int:
    """File descriptors that are sockets."""
    return sum(os.readlink(entry).startswith("socket:") for pid in pids for entry in Path(f"/proc/{pid}/fd").iterdir())


def _status(pid: int, key: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(key)), 0.0)


def describe() -> dict[str, object]:
    """The machine, for the head of a report."""
    info = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(": ")[2] for line in info.splitlines() if line.startswith("model name")), "unknown")
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MB,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }
