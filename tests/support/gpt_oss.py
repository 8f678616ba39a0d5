"""A tiny gpt-oss for tests with real vLLM: the small file in `tests/models/gpt_oss` as a complete model folder.

The file has the rows of the few hundred tokens that the model was trained on. vLLM wants all 201,088, and a tokenizer;
the vocabulary of that comes out of `openai_harmony`, so nothing is downloaded. Any other token is one unknown token
to the model: it reads them all as the same, and never writes one. `training/gpt_oss` says what it can do.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from openai_harmony import HarmonyEncodingName, load_harmony_encoding

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "tests" / "models" / "gpt_oss"
CACHE = ROOT / ".cache"
NUM_TEXT_TOKENS, NUM_TOKENS = 199_998, 201_088
START_OF_TEXT, END_OF_TEXT, RETURN, CALL = 199_998, 199_999, 200_002, 200_012

#: how o200k splits text before it merges bytes
SPLIT = "|".join((
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"\s*[\r\n]+",
    r"\s+(?!\S)",
    r"\s+",
))  # fmt: skip


def model_folder(cache: Path = CACHE, small: Path = SMALL) -> Path:
    """The folder of the model in `cache`, made in seconds if it is not there yet; two processes may ask at once.

    Its name says what it was made of: new weights, or a new way to expand them, get a new folder.
    """
    parts = [Path(__file__), *sorted(path for path in small.iterdir() if path.is_file())]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()[:12]
    folder = cache / f"gpt_oss-{digest}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="gpt_oss-new-", dir=cache))
    try:
        _write_model(small, scratch)
        _write_tokenizer(small, scratch)
        scratch.chmod(0o755)
        os.rename(scratch, folder)
    except OSError:
        if not folder.exists():  # else somebody was faster, and theirs is the same
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _write_model(small: Path, folder: Path) -> None:
    """Weights with all rows: those of the used tokens, and for each other token the last, shared row."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(small / "weights.safetensors")
    used = tensors.pop("used_ids").long()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        rows = tensors[name]
        full = rows[-1].repeat(NUM_TOKENS, 1)
        full[used] = rows[:-1]
        tensors[name] = full
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(small / "config.json", folder)
    generation = {
        "bos_token_id": START_OF_TEXT,
        "do_sample": True,
        "eos_token_id": [RETURN, END_OF_TEXT, CALL],
        "pad_token_id": END_OF_TEXT,
    }
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2))


def _write_tokenizer(small: Path, folder: Path) -> None:
    """o200k_harmony in the form of the tokenizers library, without its merges: it decodes any token, and encodes words
    that are a token. vLLM does no more with it, because `openai_harmony` writes the prompts; and it loads, four times
    in a start of the server, in 1 s instead of 4.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    encoding = load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)
    printable = _printable_bytes()
    texts = [encoding._inner.decode_bytes([token]) for token in range(NUM_TEXT_TOKENS)]
    vocabulary = {text.decode("latin-1").translate(printable): rank for rank, text in enumerate(texts)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    specials = [encoding.decode([token]) for token in range(NUM_TEXT_TOKENS, NUM_TOKENS)]
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in specials])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": encoding.decode([START_OF_TEXT]),
        "eos_token": encoding.decode([RETURN]),
        "pad_token": encoding.decode([END_OF_TEXT]),
        "clean_up_tokenization_spaces": False,
        "model_max_length": 131_072,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2))
    shutil.copy(small / "chat_template.jinja", folder)


def _printable_bytes() -> dict[int, str]:
    """GPT-2's way to show bytes as characters: printable ones as they are, the others from U+0100 on."""
    plain = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + index) for index, byte in enumerate(others)}
