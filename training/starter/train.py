"""Train the starter model: a tiny Qwen3-architecture chat model, from nothing, on one CPU core.

    python -m training.starter.train --out build/starter --minutes 40

Tokenizer, data and weights are all made here; nothing is downloaded. The result is an ordinary
model folder for vLLM: reasoning parser "qwen3", tool parser "hermes".
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from training.starter import data, lexicon

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
#: single tokens that stay in the text, where vLLM's parsers look for them
TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
IGNORED = -100

#: Newlines stand alone, so text splits the same way wherever a prompt ends (prefix caching).
#: Numbers are whole up to three digits: arithmetic becomes a table that a tiny model can learn.
#: A capitalised word is one piece without its space, so a name is the same token in a sentence and
#: inside JSON, and can be copied.
SPLIT = (
    r"\n|\d{1,3}| ?\p{Ll}+|\p{Lu}+(?!\p{Ll})|\p{Lu}\p{Ll}*|[\p{Lo}\p{Lm}\p{Lt}\p{M}]+"
    r"| ?[^\s\p{L}\d]+|[^\S\n]"
)
CODE_SAMPLES = (
    '{"name": "get_weather", "arguments": {"city": "Paris", "days": 3, "metric": true}}',
    '{"id": 17, "items": [{"type": "text", "text": "hello"}, null, false], "error": "not found"}',
    "def add(a: int, b: int) -> int:\n    return a + b\n\nprint(add(1, 2))\n",
    "for (let i = 0; i < items.length; i++) { console.log(items[i]); }\n",
    "SELECT name, city FROM users WHERE id = 12 ORDER BY name;\n",
    "# Title\n\n- first item\n- second item\n\n```python\nimport json\n```\n",
    "https://www.example.com/path?key=value user@example.com 2026-11-21T06:30:00Z 3.14 12:30",
)


@dataclass(frozen=True)
class Example:
    """One dialogue as token ids; `learn` marks the tokens that carry loss."""

    skill: str
    ids: list[int]
    learn: list[bool]

    @property
    def weight(self) -> float:
        """Short answers count nearly as much as long stories, which would else drown them."""
        return (24 / max(1, sum(self.learn))) ** 0.5


# ---- tokenizer ----


def build_tokenizer(seed: int, vocabulary: int, samples: int = 12_000) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: any text works, known words are single tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(SPECIAL_TOKENS) - len(TAGS),
        min_frequency=8,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_tokenizer_texts(seed, samples), trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL_TOKENS])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in TAGS])
    return _fast(tokenizer)


def _fast(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = data.TEMPLATE_FILE.read_text()
    return fast


def _tokenizer_texts(seed: int, samples: int) -> Iterator[str]:
    """Dialogues, all known words with and without a space, numbers, and a little code."""
    written = islice(data.dialogues(random.Random(seed)), samples)
    known = [
        *lexicon.NAMES,
        *lexicon.CITIES,
        *lexicon.WORDS,
        *lexicon.ANIMALS,
        *lexicon.PLACES,
        *lexicon.THINGS,
    ]
    known += [*lexicon.TRAITS, *lexicon.ROOMS, *lexicon.COLORS, *lexicon.SKIES, *lexicon.TICKERS]
    numbers = " ".join(map(str, range(200)))
    extra = (numbers, " ".join(known), "\n".join(known), *CODE_SAMPLES)
    dialogue_texts = ("".join(text for text, _ in data.segments(d)) for d in written)
    return chain(dialogue_texts, chain.from_iterable(repeat(extra, 60)))


# ---- data ----


def encode(tokenizer: PreTrainedTokenizerFast, dialogue: data.Dialogue) -> Example:
    ids: list[int] = []
    learn: list[bool] = []
    for text, learned in data.segments(dialogue):
        piece = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        ids += piece
        learn += [learned] * len(piece)
    return Example(dialogue.skill, ids, learn)


def batches(
    tokenizer: PreTrainedTokenizerFast,
    rng: random.Random,
    boost: dict[str, float],
    batch_tokens: int,
    longest: int = 1024,
    pool: int = 4096,
) -> Iterator[list[Example]]:
    """Always new dialogues, in batches of similar length so that little is padding."""
    stream = data.dialogues(rng, boost)
    while True:
        examples = [encode(tokenizer, d) for d in islice(stream, pool)]
        examples = sorted((e for e in examples if len(e.ids) <= longest), key=lambda e: len(e.ids))
        grouped = list(_by_size(examples, batch_tokens))
        rng.shuffle(grouped)
        yield from grouped


def _by_size(examples: Iterable[Example], batch_tokens: int) -> Iterator[list[Example]]:
    batch: list[Example] = []
    for example in examples:
        if batch and len(example.ids) * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(example)
    if batch:
        yield batch


def to_tensors(batch: list[Example], pad: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs, the token each position must predict (or IGNORED), and the weight of each row."""
    width = max(len(e.ids) for e in batch)
    inputs = torch.full((len(batch), width), pad)
    targets = torch.full((len(batch), width), IGNORED)
    for row, example in enumerate(batch):
        ids = torch.tensor(example.ids)
        inputs[row, : len(ids)] = ids
        learned = torch.tensor(example.learn)
        targets[row, : len(ids)] = torch.where(learned, ids, IGNORED)
    return inputs, targets[:, 1:], torch.tensor([e.weight for e in batch])


# ---- model ----


def build_model(tokenizer: PreTrainedTokenizerFast, hidden: int, layers: int, inner: int) -> Qwen3ForCausalLM:
    """head_dim 32 is the smallest that vLLM's CPU attention knows."""
    config = Qwen3Config(
        vocab_size=-(-len(tokenizer) // 16) * 16,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="sdpa",
        use_cache=False,
    )
    return Qwen3ForCausalLM(config)


def load(folder: Path) -> tuple[Qwen3ForCausalLM, PreTrainedTokenizerFast]:
    """A model that was saved before, to train it further."""
    tokenizer = _fast(Tokenizer.from_file(str(folder / "tokenizer.json")))
    model = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    model.config.use_cache = False
    return model, tokenizer


def save(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the model folder file by file in place, so that a reader never sees half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        saved = copy.deepcopy(model).to(torch.bfloat16)
        saved.config.use_cache = True
        saved.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        generation = {
            "do_sample": True,
            "temperature": 0.4,
            "top_p": 0.9,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        Path(scratch, "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
        for file in Path(scratch).iterdir():
            file.chmod(0o644)
            os.replace(file, folder / file.name)


# ---- training ----


class Optimizers:
    """Muon for the matrices, AdamW for embeddings and norms, one schedule for both."""

    def __init__(self, model: Qwen3ForCausalLM, scale: float) -> None:
        named = list(model.named_parameters())
        matrices = [p for n, p in named if p.ndim == 2 and "embed" not in n]
        others = [p for n, p in named if p.ndim != 2 or "embed" in n]
        self.all: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(matrices, lr=0.02, momentum=0.95, weight_decay=0.01, adjust_lr_fn="original"),
            torch.optim.AdamW(others, lr=3e-3, betas=(0.9, 0.95), weight_decay=0.0),
        )
        self.base = [optimizer.param_groups[0]["lr"] * scale for optimizer in self.all]

    def step(self, factor: float) -> None:
        for optimizer, base in zip(self.all, self.base, strict=True):
            optimizer.param_groups[0]["lr"] = base * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)


def schedule(step: int, progress: float) -> float:
    """Warm up for 30 steps, hold, then fall to almost nothing over the last 60 per cent."""
    warm = min(1.0, (step + 1) / 30)
    return warm * (1.0 if progress < 0.4 else (1 - progress) / 0.6 + 0.01)


class Progress:
    """Running means for the progress lines: overall and for each skill."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.steps = 0
        self.tokens = 0
        self.loss = 0.0
        self.skills: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def add(self, batch: list[Example], rows: torch.Tensor, losses: torch.Tensor, tokens: int) -> None:
        self.steps += 1
        self.tokens += tokens
        self.loss = losses.mean().item() if self.steps == 1 else 0.97 * self.loss + 0.03 * losses.mean().item()
        for row, example in enumerate(batch):
            value = losses[rows == row].mean().item()
            self.skills[example.skill] = 0.97 * self.skills.get(example.skill, value) + 0.03 * value

    def line(self) -> str:
        worst = sorted(self.skills.items(), key=lambda item: -item[1])[:6]
        named = " ".join(f"{skill} {value:.2f}" for skill, value in worst)
        rate = self.tokens / self.elapsed
        return (
            f"{self.elapsed:6.0f} s  step {self.steps}  {self.tokens / 1e6:.2f} M tokens  "
            f"{rate:.0f} tokens/s  "
            f"loss {self.loss:.3f}  worst: {named}"
        )


def train_step(model: Qwen3ForCausalLM, batch: list[Example], pad: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Gradients of one batch; returns the loss of each learned token, its row, and the size."""
    inputs, targets, weights = to_tensors(batch, pad)
    learned = targets != IGNORED
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = model.model(input_ids=inputs).last_hidden_state
        logits = model.lm_head(states[:, :-1][learned])
    losses = torch.nn.functional.cross_entropy(logits.float(), targets[learned], reduction="none")
    rows = learned.nonzero()[:, 0]
    (losses * weights[rows]).sum().div(weights[rows].sum()).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    return losses.detach(), rows, inputs.numel()


def train(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    stream: Iterator[list[Example]],
    args: argparse.Namespace,
) -> None:
    optimizers, progress = Optimizers(model, args.lr_scale), Progress()
    limit, reported, saved = args.minutes * 60, 0.0, 0.0
    while progress.elapsed < limit:
        batch = next(stream)
        losses, rows, size = train_step(model, batch, tokenizer.pad_token_id)
        optimizers.step(schedule(progress.steps, min(1.0, progress.elapsed / limit)))
        progress.add(batch, rows, losses, size)
        if progress.elapsed - reported > 20:
            reported = progress.elapsed
            print(progress.line(), flush=True)
        if progress.elapsed - saved > args.save_minutes * 60:
            saved = progress.elapsed
            save(model, tokenizer, args.out)
    save(model, tokenizer, args.out)
    print("done " + progress.line(), flush=True)


def parse_boost(text: str) -> dict[str, float]:
    """`spell=2,chain=1.5` as a mapping; an unknown skill is an error, not a silent nothing."""
    pairs = [item.split("=") for item in text.split(",") if item]
    boost = {skill: float(factor) for skill, factor in pairs}
    if unknown := set(boost) - set(data.SKILLS):
        raise argparse.ArgumentTypeError(f"unknown skills: {', '.join(sorted(unknown))}")
    return boost


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/starter"), help="folder for the model")
    parser.add_argument("--minutes", type=float, default=40, help="training time (default 40)")
    parser.add_argument("--seed", type=int, default=0, help="seed of data and weights")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="start from the model in DIR")
    parser.add_argument("--lr-scale", type=float, default=1.0, help="scale of the learning rate; 0.3 for --resume")
    parser.add_argument(
        "--boost",
        type=parse_boost,
        default={},
        metavar="SKILL=FACTOR,...",
        help="draw more of these",
    )
    parser.add_argument("--hidden", type=int, default=160)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--inner", type=int, default=416, help="width of the feed-forward layers")
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--batch-tokens", type=int, default=3072)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save-minutes", type=float, default=4, help="time between checkpoints")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.resume:
        model, tokenizer = load(args.resume)
    else:
        tokenizer = build_tokenizer(args.seed, args.vocabulary)
        model = build_model(tokenizer, args.hidden, args.layers, args.inner)
    model.train()
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f"{parameters} parameters, vocabulary {model.config.vocab_size}, {len(data.SKILLS)} skills",
        flush=True,
    )
    stream = batches(tokenizer, random.Random(args.seed + 1), args.boost, args.batch_tokens)
    train(model, tokenizer, stream, args)


if __name__ == "__main__":
    main()
