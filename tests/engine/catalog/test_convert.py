"""From GGUF to a folder that vLLM loads: the numbers, the names, the tokenizer, and files that are not right."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from realtime.dialects.markup.detect import detect
from realtime.engine.catalog import convert
from realtime.engine.catalog.gguf import Gguf, GgufError
from tests.support.gguf import CONTROL, F32, HEADS, MEMBER, Q4_1, Q8_0, gguf, make_wheel, tiny_gguf, tiny_metadata


@pytest.mark.parametrize(("kind", "step"), [(F32, 0), (Q8_0, 2 / 127), (Q4_1, 4 / 15)])
def test_numbers_come_back_within_their_steps(kind: int, step: float) -> None:
    wanted = np.random.default_rng(1).uniform(-2, 2, (6, 64)).astype(np.float32)
    model = Gguf(gguf({"a": "b"}, [("first", F32, wanted[0]), ("second", kind, wanted)]))
    found = model.tensor("second")
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= step / 2 + 0.004  # and what rounding the scale costs
    assert np.array_equal(model.tensor("first"), wanted[0])


def test_every_cut_is_refused() -> None:
    whole = tiny_gguf()
    for at in [0, 3, 4, 7, 20, 60, 500, 2000, len(whole) - 40]:
        with pytest.raises(GgufError):
            dict(convert.weights(Gguf(whole[:at])))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"general__architecture": "qwen3"}, "architecture is qwen3"),
        ({"tokenizer__ggml__pre": "llama-bpe"}, "llama-bpe"),
        ({"tokenizer__chat_template": None}, "tokenizer.chat_template"),
    ],
)
def test_a_file_that_can_not_be_converted_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str | None], complaint: str,
) -> None:  # fmt: skip
    make_wheel(tmp_path, tiny_gguf(**changes))
    (wheel,) = tmp_path.glob("*.whl")
    monkeypatch.setattr("sys.argv", ["convert", str(wheel), MEMBER, str(tmp_path)])
    assert convert.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("converted")
    make_wheel(place, tiny_gguf())
    (place / "model").mkdir()
    (wheel,) = place.glob("*.whl")
    convert.convert(wheel, MEMBER, place / "model")
    return place / "model"


def test_the_folder_is_a_model_with_its_licence(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert (config["rms_norm_eps"], config["num_attention_heads"], config["tie_word_embeddings"]) == (1e-5, HEADS, True)
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == 2
    assert (folder / "LICENSE").read_text() == "free"
    assert (folder / "chat_template.jinja").read_text() == tiny_metadata()["tokenizer.chat_template"]


def test_its_family_is_found_by_its_template(folder: Path) -> None:
    assert detect("llama", (folder / "chat_template.jinja").read_text()).name == "plain"


def test_rows_that_rotate_together_are_half_a_head_apart() -> None:
    rows = np.arange(16, dtype=np.float32)[:, None].repeat(2, axis=1)
    assert convert._halves(rows, 2)[:, 0].tolist() == [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15]


def test_the_tokenizer_knows_control_tokens_digits_and_every_byte(folder: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.encode("<|im_start|>hello<|im_end|>").tokens == [CONTROL[1], "hello", CONTROL[2]]
    assert tokenizer.encode("2026").tokens == ["2", "0", "2", "6"]
    text = " Grüße\n\t日本語 👍🏽 \x00\x7f"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


LOAD = """
import json, sys, transformers
model, report = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], output_loading_info=True)
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
print(json.dumps({
    "wrong": [name for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for name in report[kind]],
    "rope_theta": model.config.rope_parameters["rope_theta"],
    "eos": tokenizer.eos_token,
    "shown": tokenizer.apply_chat_template([{"role": "user", "content": "hello"}], tokenize=False),
}))
"""


@pytest.mark.skipif(find_spec("transformers") is None, reason="transformers comes with vLLM, which is not installed")
def test_transformers_loads_it_whole(folder: Path) -> None:
    """In a process of its own: what it imports, and in which order, is not for the tests that start vLLM."""
    done = subprocess.run([sys.executable, "-c", LOAD, str(folder)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "wrong": [],
        "rope_theta": 10000.0,
        "eos": "<|im_end|>",
        "shown": "<|im_start|>user\nhello<|im_end|>\n",
    }
