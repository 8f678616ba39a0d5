"""The model: whether its folder is complete, whether it fits into memory, and whether its family is known."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from realtime.engine.catalog.cache import folder_of
from realtime.engine.catalog.table import find
from realtime.engine.options import VllmOptions
from realtime.server.families import family_choice
from realtime.settings.fields import GIB
from realtime.settings.sources import SettingsError

from .finding import Finding
from .machine import Gpu

_BESIDE = 1.2  # memory for weights and what goes with them, in sizes of the weights
_MAX_JSON_BYTES = 64 << 20
_MAX_HEADER_BYTES = 100_000_000  # of a file of weights: the format's own limit
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
_INDEX = "model.safetensors.index.json"


def check_model(model: str) -> None:
    """Refuse a model that can only be a folder, but isn't one. Raises SettingsError.

    `name` and `owner/name` may be ids of the hub, so they are left to vLLM. A path that starts with `/`, `.` or `~`, or
    has more parts, can't be an id.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise SettingsError(f"--model: the folder {model} is not a model: it has no config.json")
    elif path.exists():
        raise SettingsError(f"--model: {model} is a file; a model is a folder with a config.json, or a hub id")
    elif model[:1] in "/.~" or model.count("/") > 1:
        raise SettingsError(f"--model: there is no folder {model} (a hub id looks like owner/name)")


def look_at_model(options: VllmOptions, gpus: Sequence[Gpu], *, uses_weights: bool = True) -> Iterator[Finding]:
    """Check the model's files, the memory that it needs, and its dialect. uses_weights: the engine runs here."""
    try:
        check_model(options.model)
        family_choice(options)
    except SettingsError as error:
        yield Finding("model", "error", str(error))
        return
    folder = _folder(options.model)
    if folder is None:
        yield Finding("model", "note", f"{options.model} is not on this machine: the first start downloads it")
        return
    trouble = missing_in(folder, uses_weights=uses_weights)
    if trouble is not None:
        yield Finding("model", "error", f"{folder}: {trouble}", "download or copy it again")
        return
    if uses_weights:
        num_bytes = _num_bytes(folder)
        yield Finding("model", "ok", f"{options.name}, {num_bytes / GIB:.2f} GiB of weights in {folder}")
        yield _memory(num_bytes, options, gpus)
    else:
        yield Finding("model", "ok", f"{options.name} in {folder}; its weights are not read here")
    yield _template(folder)


def _folder(model: str) -> Path | None:
    """Return the model's folder; None: it is not known to be on this machine."""
    named = find(model)
    if named is not None and named.package is not None:
        folder = folder_of(named)
        return folder if folder.is_dir() else None
    path = Path(model).expanduser()
    return path if path.is_dir() else None


def missing_in(folder: Path, *, uses_weights: bool = True) -> str | None:
    """Say what a folder lacks to be a model; None: nothing that can be told without loading it."""
    for name in ("config.json", _INDEX, "tokenizer_config.json", "generation_config.json"):
        file = folder / name
        if file.is_file():
            try:
                _read(file)
            except (OSError, ValueError, RecursionError) as error:
                return f"{name} can't be read ({error})"
    if uses_weights and (trouble := _missing_weights(folder)) is not None:
        return trouble
    if not any(folder.glob("tokenizer*")) and not any(folder.glob("*.tiktoken")):
        return "there is no tokenizer in it"
    return None


def _missing_weights(folder: Path) -> str | None:
    index = folder / _INDEX
    if index.is_file():
        named = _read(index).get("weight_map", {})
        if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
            return f"{_INDEX} does not say which files of weights there are"
        shards = sorted(set(named.values()))
        gone = [name for name in shards if not (folder / name).is_file()]
        if gone:
            return f"{len(gone)} of its {len(shards)} files of weights are missing, the first is {gone[0]}"
    files = _weights(folder)
    if not files:
        return "there are no weights (*.safetensors) in it"
    for file in files:
        if (trouble := _cut_short(file)) is not None:
            return trouble
    return None


def _cut_short(file: Path) -> str | None:
    """Say what is wrong with a file of weights, by its header and its size."""
    if file.suffix != ".safetensors":
        return None
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER_BYTES):
            return f"{file.name} is cut short, or is no file of weights (a pointer of Git LFS?)"
        try:
            header = json.loads(opened.read(length))
            ends = [int(tensor["data_offsets"][1]) for name, tensor in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return f"{file.name} is no file of weights"
    if 8 + length + max(ends, default=0) > size:
        return f"{file.name} is cut short: it has {size} bytes of {8 + length + max(ends)}"
    return None


def _memory(num_bytes: int, options: VllmOptions, gpus: Sequence[Gpu]) -> Finding:
    wanted = num_bytes * _BESIDE
    if gpus:
        devices = options.tensor_parallel_size * options.pipeline_parallel_size
        share = options.gpu_memory_utilization or 0.9
        have = sum(sorted((gpu.free_bytes * share for gpu in gpus), reverse=True)[:devices])
        text = f"{have / GIB:.1f} GiB free on {devices} of {len(gpus)} GPUs ({gpus[0].name}, driver {gpus[0].driver})"
        advice = "a smaller or quantized model, or a greater --tensor-parallel-size"
        if devices > len(gpus):
            return Finding("memory", "error", f"{devices} GPUs are asked for, {len(gpus)} are there", advice)
    else:
        have = _available_bytes()
        text, advice = f"{have / GIB:.1f} GiB available", "a smaller model"
    if wanted > have:
        return Finding("memory", "error", f"{text}, the model takes about {wanted / GIB:.1f}", advice)
    return Finding("memory", "ok", text)


def _template(folder: Path) -> Finding:
    config = folder / "tokenizer_config.json"
    has = (folder / "chat_template.jinja").is_file() or (config.is_file() and "chat_template" in _read(config))
    if has or _read(folder / "config.json").get("model_type") == "gpt_oss":
        return Finding("chat template", "ok", "there is one; `/ready` names the family that it is read as")
    advice = "take the model's instruction-tuned variant: one without a template can't be talked to"
    return Finding("chat template", "error", "there is none", advice)


def _available_bytes() -> int:
    with open("/proc/meminfo") as file:
        rows = dict(line.split(":") for line in file)
    return int(rows["MemAvailable"].split()[0]) * 1024


def _num_bytes(folder: Path) -> int:
    return sum(os.stat(file).st_size for file in _weights(folder))


def _weights(folder: Path) -> list[Path]:
    return next((found for kind in _WEIGHTS if (found := sorted(folder.glob(kind)))), [])


def _read(file: Path) -> dict[str, Any]:
    if file.stat().st_size > _MAX_JSON_BYTES:
        raise ValueError("too large")
    found = json.loads(file.read_text("utf-8"))
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found
