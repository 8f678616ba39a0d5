"""Score the tiny gpt-oss on fresh dialogues through real vLLM, greedily and at temperature 1.0.

    python -m training.gpt_oss.evaluate --samples 50

A dialogue is right if every round that the model has to write in it is right to the token. Each round is generated
after the right text of the rounds before it; as there is one right text, that is the same as playing the dialogue.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

# One process and one thread: vLLM reads these when it is imported.
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "CRITICAL")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.support.gpt_oss import SMALL, model_folder
from training.gpt_oss import data

if TYPE_CHECKING:
    from vllm import LLM

#: far from the training seeds: the dialogues are new, though short ones may coincide
DEFAULT_SEED = 20_261_121
LONG = "steps, 20 or more"
TEMPERATURES = (0.0, 1.0)


@dataclass(frozen=True)
class Round:
    """What the model reads, and the one right continuation."""

    skill: str
    dialogue: int
    prompt: tuple[int, ...]
    expected: tuple[int, ...]


def make_llm(folder: Path) -> LLM:
    """The engine, small and quick to start."""
    from vllm import LLM

    return LLM(
        model=str(folder),
        max_model_len=4096,
        max_num_seqs=32,
        enforce_eager=True,
        kv_cache_memory_bytes=256 << 20,
    )


def fresh(rng: random.Random, skill: str) -> data.Dialogue:
    if skill != LONG:
        return data.write(rng, skill)
    while len((dialogue := data.write(rng, "steps")).rounds) <= 20:
        pass
    return dialogue


def make_rounds(skills: list[str], samples: int, seed: int) -> Iterator[Round]:
    for skill in skills:
        rng = random.Random(f"{seed}/{skill}")
        for number in range(samples):
            prompt: tuple[int, ...] = ()
            for segment in data.segments(fresh(rng, skill)):
                if segment.learned:
                    yield Round(skill, number, prompt, segment.ids)
                prompt += segment.ids


def generate(llm: LLM, rounds: list[Round], temperature: float) -> list[tuple[int, ...]]:
    from vllm import SamplingParams

    params = SamplingParams(temperature=temperature, max_tokens=200, seed=None, detokenize=False)
    prompts = [{"prompt_token_ids": list(asked.prompt)} for asked in rounds]
    return [tuple(output.outputs[0].token_ids) for output in llm.generate(prompts, params, use_tqdm=False)]


def score(rounds: list[Round], written: list[tuple[int, ...]]) -> dict[str, float]:
    """The share of right dialogues for each skill."""
    wrong = {(asked.skill, asked.dialogue) for asked, ids in zip(rounds, written, strict=True) if ids != asked.expected}
    made: dict[str, set[int]] = {}
    for asked in rounds:
        made.setdefault(asked.skill, set()).add(asked.dialogue)
    return {skill: sum((skill, n) not in wrong for n in numbers) / len(numbers) for skill, numbers in made.items()}


def print_misses(rounds: list[Round], written: list[tuple[int, ...]], limit: int) -> None:
    shown: dict[str, int] = {}
    for asked, ids in zip(rounds, written, strict=True):
        if ids != asked.expected and shown.setdefault(asked.skill, 0) < limit:
            shown[asked.skill] += 1
            print(f"\n{asked.skill}: ...{data.ENCODING.decode(asked.prompt)[-300:]}")
            print(f"    wanted {data.ENCODING.decode(asked.expected)!r}")
            print(f"    got    {data.ENCODING.decode(ids)!r}")


def print_table(scores: dict[float, dict[str, float]]) -> None:
    """As it stands in README.md."""
    print("| skill | " + " | ".join("greedy" if t == 0 else f"temperature {t}" for t in scores) + " |")
    print("|---" * (len(scores) + 1) + "|")
    for skill in next(iter(scores.values())):
        print(f"| {skill} | " + " | ".join(f"{of[skill]:.2f}" for of in scores.values()) + " |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("small", nargs="?", type=Path, default=SMALL, help="folder of weights.safetensors")
    parser.add_argument("--samples", type=int, default=50, help="dialogues per skill (default 50)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--skills", nargs="+", choices=[*data.SKILLS, LONG], default=[*data.SKILLS, LONG])
    parser.add_argument("--misses", type=int, default=0, help="print so many wrong rounds per skill")
    parser.add_argument("--min-score", type=float, help="exit with 1 if any skill scores less")
    args = parser.parse_args()
    rounds = list(make_rounds(args.skills, args.samples, args.seed))
    scores: dict[float, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as cache:
        llm = make_llm(model_folder(Path(cache), args.small))
        for temperature in TEMPERATURES:
            written = generate(llm, rounds, temperature)
            scores[temperature] = score(rounds, written)
            print_misses(rounds, written, args.misses)
    print_table(scores)
    print(json.dumps({"samples": args.samples, "seed": args.seed, "scores": scores}))
    weak = [skill for of in scores.values() for skill, value in of.items() if value < (args.min_score or 0)]
    if weak:
        print(f"too low: {', '.join(weak)}", file=sys.stderr)
    return 1 if weak else 0


if __name__ == "__main__":
    sys.exit(main())
