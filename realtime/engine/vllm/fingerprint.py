"""A fingerprint: a digest of everything that decides which token follows: the model, how it is run, and by what.

Generations continue only on an engine with the same fingerprint. A restart or another folder for the model's files does
not change it: the contents of the files count, not their place or date. Small files are read completely. Of large ones,
the weights, the size and blocks at even distances are read, about a quarter of a megabyte each: other weights of the
same shape differ nearly everywhere, and reading all of a large model takes minutes.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from realtime.engine.options import VllmOptions

_VERSION = 1  # of what is digested
_WHOLE_BYTES = 32 << 20  # files up to here are read as a whole
_NUM_BLOCKS, _BLOCK_BYTES = 64, 4096  # of larger ones, the first and the last among them
# Of a model's folder: configuration, tokenizer, templates, code that comes with it, and weights in all of their forms.
_SUFFIXES = frozenset({
    ".json", ".jinja", ".txt", ".model", ".tiktoken", ".py", ".safetensors", ".bin", ".pt", ".pth", ".gguf",
})  # fmt: skip
# internal: vLLM's configuration, what of it changes the numbers or how they are sampled
_MODEL = (
    "dtype", "quantization", "max_model_len", "logprobs_mode", "use_fp64_gumbel", "logits_processors", "runner_type",
    "convert_type", "override_generation_config", "enforce_eager",
)  # fmt: skip
_OTHERS = (
    ("cache_config", ("cache_dtype",)),
    ("parallel_config", ("tensor_parallel_size", "pipeline_parallel_size", "decode_context_parallel_size")),
    ("attention_config", ("backend",)),
    ("compilation_config", ("mode",)),
    ("structured_outputs_config", ("backend", "reasoning_parser", "enable_in_reasoning")),
    ("speculative_config", ("method", "model", "num_speculative_tokens")),
    ("load_config", ("load_format",)),
)
_PLACES = ("_name_or_path", "transformers_version")  # of a model's configuration: where it lies, and who wrote it


def fingerprint(options: VllmOptions, config: Any, tokenizer: Any, defaults: Mapping[str, Any]) -> str:
    """Return the digest of an engine's set-up. Reads files, so run it in a thread. `config`: vLLM's. `defaults`: the
    model's sampling.
    """
    facts = {
        "version": _VERSION,
        "software": _software(),
        "device": _device(),
        "model": _of_model(config.model_config),
        "sampling": defaults,
        "template": str(getattr(tokenizer, "chat_template", None)),
        "files": files_of(options.model, options.revision),
        "tokenizer": files_of(options.tokenizer, options.revision) if options.tokenizer else None,
        "batch_invariant": os.environ.get("VLLM_BATCH_INVARIANT", "0"),
        "runner": bool(config.use_v2_model_runner),
    }
    for part, names in _OTHERS:
        facts[part] = _members(getattr(config, part, None), names)
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def files_of(model: str, revision: str | None = None) -> list[tuple[str, str]]:
    """Return name and digest of each of a model's files: of a folder, of one file, or for a hub id of its files in the
    cache here. Anything else, such as the address of a store, counts by its name.
    """
    path = Path(model)
    if path.is_file():
        return [(path.name, digest_of(path))]
    folder = path if path.is_dir() else _snapshot(model, revision)
    if folder is None:
        return [(model, str(revision))]
    return [(file.name, digest_of(file)) for file in _weighty(folder)]


def digest_of(path: Path) -> str:
    """Return the digest of a file's contents, or for a large one of its size and some blocks."""
    size = path.stat().st_size
    digest = hashlib.sha256(b"%d" % size)
    with path.open("rb") as file:
        if size <= _WHOLE_BYTES:
            digest.update(file.read())
        else:
            for number in range(_NUM_BLOCKS):
                file.seek((size - _BLOCK_BYTES) * number // (_NUM_BLOCKS - 1))
                digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()


def _weighty(folder: Path) -> Iterator[Path]:
    """Yield the files that count, in order, without those of its folders, which vLLM does not load."""
    return (file for file in sorted(folder.iterdir()) if file.suffix in _SUFFIXES and file.is_file())


def _snapshot(model: str, revision: str | None) -> Path | None:
    """Return the folder in the hub's cache that vLLM has loaded."""
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(model, "config.json", revision=revision)
    except ValueError:  # no hub id either
        return None
    return Path(found).parent if isinstance(found, str) else None


def _software() -> dict[str, str]:
    import torch
    import vllm

    return {"vllm": vllm.__version__, "torch": torch.__version__}


def _device() -> dict[str, str]:
    """Return the kind of processor that computes: another kind rounds differently."""
    import torch
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        return {"machine": platform.machine(), "features": torch.backends.cpu.get_cpu_capability()}
    return {"name": str(current_platform.get_device_name())}


def _of_model(model: Any) -> dict[str, Any]:
    shape = {name: value for name, value in model.hf_config.to_dict().items() if name not in _PLACES}
    return {"config": shape, **_members(model, _MODEL)}


def _members(owner: Any, names: tuple[str, ...]) -> dict[str, str]:
    """Return some members in words; None for a missing one."""
    return {name: str(getattr(owner, name, None)) for name in names}
