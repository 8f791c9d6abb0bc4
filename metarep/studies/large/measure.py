"""Embeds the networks of a zoo in a process of its own, and prints how long that took and the most memory that it held."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from metarep.embeddings.settings import EmbedConfig
from metarep.embeddings.stage import embed


def peak_bytes() -> int:
    """The most memory that this process held. Linux counts in `ru_maxrss` what the parent held when it started the process,
    and in VmHWM the process alone.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 1024 * next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def main(model: str, zoo: str, out: str) -> None:
    """Prints one line of JSON."""
    start = time.monotonic()
    embed(EmbedConfig(kind="layers", parts=("network", "layer", "unit")), model, zoo, out)
    sys.stdout.write(json.dumps({"seconds": time.monotonic() - start, "peak_bytes": peak_bytes()}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
