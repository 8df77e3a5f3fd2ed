"""
How many labs fit on this machine at once: `python -m lab.capacity` prints the number.

It is computed from the processors that are idle over some seconds, and from available memory.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

# Nodes wait for timers, answers and disks; two labs a processor keep each other from being in time,
# and who waits for them asks more often.
LABS_PER_PROCESSOR = 1.75
# A lab of three nodes with the stand-in, and the test process and the deploys beside it.
MEMORY_MB = 1024
SPARE_MB = 512
SAMPLE_S = 3.0


def labs(processors: float, idle: float, memory_mb: float) -> int:
    """
    The number of labs, at least one.

    + processors: how many there are
    + idle: the part of their time that nobody uses, 0 to 1
    + memory_mb: what is available
    """
    # The kernel gives a new process half of a busy processor.
    ours = processors * (idle + (1 - idle) / 2)
    by_memory = (memory_mb - SPARE_MB) / MEMORY_MB
    return max(1, int(min(ours * LABS_PER_PROCESSOR + 0.5, by_memory)))


def processors() -> float:
    """Those that this process may use, as far as a control group's quota reaches."""
    count = float(len(os.sched_getaffinity(0)))
    for file, period in (
        ("/sys/fs/cgroup/cpu.max", ""),
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
    ):
        try:
            words = Path(file).read_text().split()
            words += Path(period).read_text().split() if period else []
            quota, each = map(int, words)
        except (OSError, ValueError):  # no such group, or "max"
            continue
        if quota > 0:
            count = min(count, quota / each)
    return count


def _times() -> tuple[int, int]:
    """The machine's processor time since it was started: idle, and all of it."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def idle(seconds: float = SAMPLE_S) -> float:
    """The part of the processors' time that nobody used during the next seconds."""
    idle_before, all_before = _times()
    time.sleep(seconds)
    idle_after, all_after = _times()
    return (idle_after - idle_before) / max(1, all_after - all_before)


def available_mb() -> float:
    """The memory that programs can have without any being swapped out."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1024
    return 0


def here() -> int:
    """How many labs fit on this machine now."""
    return labs(processors(), idle(), available_mb())


if __name__ == "__main__":
    print(here())
