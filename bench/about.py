"""What a figure depends on: the machine, the kernel, the versions and how the run was made.

No host name and no path: the document is published.
"""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bench.measure import cores
from bench.servers import versions

if TYPE_CHECKING:
    import argparse

__all__ = ["about", "machine"]


def about(rounds: int, options: argparse.Namespace, connections: int | None) -> dict[str, Any]:
    """Describe the run that ends now."""
    return {
        **machine(),
        "quick": bool(options.quick),
        "rounds": rounds,
        "seconds": options.seconds,
        "connections": connections,
        "versions": versions(),
    }


def machine() -> dict[str, str]:
    """Describe when and on what a run was made."""
    server, load = cores()
    release = re.match(r"[\d.]*\d", platform.release())
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": f"{_processor()}, {os.cpu_count()} cores, {platform.machine()}",
        "kernel": f"{platform.system()} {release.group() if release else 'unknown'}",
        "pinning": "one core for both" if server == load else "server and load on a core each",
    }


def _processor() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else "processor unknown"
