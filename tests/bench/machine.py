"""What the figures depend on, without names."""

import os
import platform
import subprocess
from pathlib import Path

from places import REPO

FLAGS = ("sha_ni", "avx2", "bmi2", "pclmulqdq", "avx512f", "vaes", "sha2", "pmull")


def describe() -> str:
    text = Path("/proc/cpuinfo").read_text()
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    lines = {key.strip(): value.strip() for key, value in lines.items()}
    flags = (lines.get("flags") or lines.get("Features") or "").split()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return ", ".join([
        f"{len(os.sched_getaffinity(0))} cores",
        lines.get("model name", platform.machine()),
        " ".join(f for f in FLAGS if f in flags) or "none of the flags looked for",
        f"{pages / 2**30:.0f} GiB memory",
        f"{platform.system()} {platform.release().split('-')[0]}",
    ])


def load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def commit() -> str:
    git = ["git", "-C", str(REPO), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
