"""Train a tiny gpt-oss that speaks Harmony, from nothing, on one CPU core.

    python -m training.gpt_oss.train --minutes 11

Only the tokens that occur are trained: their rows of the embedding and of the output matrix, and one more row for
every other token. The result is one small file, which `tests/support/gpt_oss.py` expands to a model of the full
vocabulary: there, all other tokens share the one row.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import json
import math
import os
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AttentionInterface, GptOssConfig, GptOssForCausalLM

from training.gpt_oss import data

FOLDER = Path(__file__).parents[2] / "tests" / "models" / "gpt_oss"
VOCABULARY = 201_088
IGNORED = -100
BUCKET = 256  # dialogues that are sorted by length at a time
PADDED = 8  # dimensions added to a head in `attend`; the kernel likes multiples of 8
#: The shared row of the other tokens is trained as if it stood for e^6 times as many as it does: at temperature 1.0
#: all of them together are then that much less likely than what training itself has a reason to make them.
MARGIN = 6.0
SIMPLE = 0.4  # simple dialogues grow fewer over this share of the time


def make_config(hidden: int, layers: int, inner: int) -> GptOssConfig:
    """As gpt-oss, but tiny. head_dim 32 is the smallest that vLLM's attention knows on CPU."""
    return GptOssConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        num_local_experts=4,
        num_experts_per_tok=2,
        sliding_window=128,
        max_position_embeddings=131_072,
        initial_context_length=4096,
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 150_000.0,
            "factor": 32.0,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "truncate": False,
            "original_max_position_embeddings": 4096,
        },
        bos_token_id=199_998,
        eos_token_id=data.RETURN,
        pad_token_id=199_999,
        tie_word_embeddings=False,
        attention_bias=True,
        use_cache=True,
        dtype="bfloat16",
        architectures=["GptOssForCausalLM"],
    )


def reduced(config: GptOssConfig, rows: int) -> GptOssConfig:
    """The same model with so many tokens; the last one stands for all others, and pads."""
    own = {"vocab_size": rows, "bos_token_id": None, "eos_token_id": None, "pad_token_id": rows - 1, "dtype": "float32"}
    small = GptOssConfig(**{**config.to_dict(), **own})
    small._attn_implementation = "sinks"
    small.use_cache = False
    return small


def attend(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: object, **kwargs: Any
) -> tuple[torch.Tensor, None]:
    """Causal attention with sinks through torch's fused kernel, several times as fast as the one of transformers.

    A sink is a position more, before the first, that everybody sees and that has no value. Its key is 0 but for one
    dimension that is added to all: it is 1 in each query, the sink in this key, and 0 in every other key.
    """
    batch, heads, length, _ = query.shape
    key, value = (states.repeat_interleave(heads // states.shape[1], dim=1) for states in (key, value))
    one = torch.zeros(PADDED)
    one[0] = 1.0
    sink = torch.nn.functional.pad(module.sinks[:, None] * (one / kwargs["scaling"]), (query.shape[-1], 0))
    query = torch.nn.functional.pad(torch.cat((query, one.expand(batch, heads, length, PADDED)), -1), (0, 0, 1, 0))
    key = torch.cat((sink[None, :, None].expand(batch, -1, -1, -1), torch.nn.functional.pad(key, (0, PADDED))), 2)
    value = torch.nn.functional.pad(value, (0, PADDED, 1, 0))
    window = kwargs.get("sliding_window")
    bias = None if window is None or length <= window else visible(length, window)
    states = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, bias, is_causal=bias is None, scale=kwargs["scaling"]
    )
    return states[:, :, 1:, :-PADDED].transpose(1, 2).contiguous(), None


@functools.lru_cache(maxsize=256)
def visible(length: int, window: int) -> torch.Tensor:
    """What each position sees: the sink, and what is not later than itself nor out of its window; as a bias."""
    distance = torch.arange(length)[:, None] - torch.arange(length)
    bias = torch.zeros(length, length).masked_fill((distance < 0) | (distance >= window), -torch.inf)
    return torch.nn.functional.pad(bias, (1, 0, 1, 0))


def initialize(model: GptOssForCausalLM, used: list[int]) -> None:
    """Start from what need not be learned, which saves most of the time.

    - Tokens that are one word but for a space or a capital letter (" Paris", "Paris") begin alike, and the output
      matrix begins as the embedding: to copy a word is then to find it.
    - Cities, names, numbers and the like begin with a part in common, so that to look for one is to look for all.
    - Every embedding has the same value in dimension 0, and the shared row of all other tokens looks at that one, so
      that they are improbable from the first step on.
    - What an attention head moves is a part of what it finds: values and outputs begin as parts of a rotation and
      of its inverse. Only where to look has to be learned.
    """
    hidden = model.config.hidden_size
    words = [data.ENCODING.decode([token]).strip().lower() for token in used]
    kinds = [data.kind(word) for word in words]
    shared = {text: torch.randn(hidden) for text in sorted({*words, *kinds})}
    alone = torch.zeros(hidden)
    rows = torch.stack(
        [
            0.6 * (shared[kind] if kind else alone) + 0.6 * shared[word] + 0.5 * torch.randn(hidden)
            for word, kind in zip(words, kinds, strict=True)
        ]
    )
    with torch.no_grad():
        embedding, output = model.model.embed_tokens.weight, model.lm_head.weight
        embedding[:-1], embedding[-1] = 0.5 * rows, 0.5 * torch.randn(hidden)
        embedding[:, 0] = 1.5
        output.zero_()
        output[:-1, 1:] = 0.15 * embedding[:-1, 1:]
        output[-1, 0] = -10
        for layer in model.model.layers:
            attention = layer.self_attn
            rotation = torch.linalg.qr(torch.randn(hidden, hidden)).Q
            parts = rotation.view(-1, attention.head_dim, hidden)[: model.config.num_key_value_heads]
            attention.v_proj.weight.copy_(0.5 * parts.reshape(-1, hidden))
            repeated = parts.repeat_interleave(attention.num_key_value_groups, dim=0)
            attention.o_proj.weight.copy_(0.5 * repeated.reshape(-1, hidden).T)


class Batches:
    """Batches of about as many tokens each, of dialogues of like length."""

    def __init__(self, used: list[int], seed: int, size: int, share_simple: float = 0.0) -> None:
        self._rows = {token: row for row, token in enumerate(used)}
        self._other = len(used)
        self._dialogues = data.dialogues(seed)
        self._simple = data.dialogues(seed, data.write_simple)
        self._size = size
        self.share_simple = share_simple  # of the dialogues to be read next
        self._rng = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        while True:
            simple = round(BUCKET * self.share_simple)
            made = chain(islice(self._simple, simple), islice(self._dialogues, BUCKET - simple))
            examples = sorted((self._encode(dialogue) for dialogue in made), key=lambda example: len(example[0]))
            groups: list[list[tuple[list[int], list[bool]]]] = [[]]
            for example in examples:
                if groups[-1] and (len(groups[-1]) + 1) * len(example[0]) > self._size:
                    groups.append([])
                groups[-1].append(example)
            for index in torch.randperm(len(groups), generator=self._rng).tolist():
                yield self._tensors(groups[index])

    def _encode(self, dialogue: data.Dialogue) -> tuple[list[int], list[bool]]:
        pieces = data.segments(dialogue)
        ids = [self._rows.get(token, self._other) for piece in pieces for token in piece.ids]
        return ids, [piece.learned for piece in pieces for _ in piece.ids]

    def _tensors(self, group: list[tuple[list[int], list[bool]]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Inputs, targets, and the weight of each row's tokens: a long dialogue counts more, but not by its length."""
        length = max(len(ids) for ids, _ in group)
        inputs = torch.full((len(group), length), self._other)
        targets = torch.full((len(group), length), IGNORED)
        weights = torch.empty(len(group))
        for row, (ids, learned) in enumerate(group):
            inputs[row, : len(ids)] = torch.tensor(ids)
            targets[row, : len(ids)] = torch.where(torch.tensor(learned), torch.tensor(ids), IGNORED)
            weights[row] = (32 / sum(learned)) ** 0.5
        return inputs, targets, weights


class Muon(torch.optim.Optimizer):
    """Muon, as `torch.optim.Muon`, but for stacks of matrices too: the experts of a layer are one tensor."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                mean = self.state[parameter].setdefault("mean", torch.zeros_like(parameter))
                mean.lerp_(parameter.grad, 1 - group["momentum"])
                update = orthogonal(parameter.grad.lerp(mean, group["momentum"]))
                rows, columns = update.shape[-2:]
                parameter.add_(update, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """The nearest orthogonal matrix, about: five rounds of Newton-Schulz. Shape (..., rows, columns)."""
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.mT if tall else x


def make_optimizers(model: GptOssForCausalLM, lr: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside, AdamW for the rest; "base" is the rate that the schedule scales."""
    inner = {name for name, _ in model.named_parameters() if name.endswith(("proj", "proj.weight"))}
    matrices = [parameter for name, parameter in model.named_parameters() if name in inner]
    others = [parameter for name, parameter in model.named_parameters() if name not in inner]
    optimizers = [Muon(matrices, 5 * lr), torch.optim.AdamW(others, lr, betas=(0.9, 0.95), weight_decay=0.0)]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base"] = group["lr"]
    return optimizers


def train_step(
    model: GptOssForCausalLM, offset: torch.Tensor, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> float:
    """Gradients of one batch; returns the mean loss of a token."""
    inputs, targets, weights = batch
    learned = targets[:, 1:] != IGNORED
    states = model.model(input_ids=inputs).last_hidden_state[:, :-1][learned]
    logits = model.lm_head(states) + offset
    losses = torch.nn.functional.cross_entropy(logits, targets[:, 1:][learned], reduction="none")
    scale = weights[learned.nonzero()[:, 0]]
    (losses * scale).sum().div(scale.sum()).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    return losses.mean().item()


def train(model: GptOssForCausalLM, used: list[int], args: argparse.Namespace) -> None:
    """By the clock: warm up, hold, and fall to almost nothing over the last 70 per cent of the time."""
    offset = torch.zeros(len(used) + 1)
    offset[-1] = math.log(VOCABULARY - len(used)) + MARGIN
    optimizers = make_optimizers(model, args.lr)
    began, reported, loss, tokens = time.monotonic(), 0.0, 0.0, 0
    simple = 0.0 if args.resume else 1.0  # to begin with
    batches = Batches(used, args.seed + 1, args.batch_tokens, simple)
    for step, batch in enumerate(batches):
        elapsed = time.monotonic() - began
        progress = elapsed / (args.minutes * 60)
        if progress >= 1:
            break
        batches.share_simple = simple * max(0.0, 1 - progress / SIMPLE)
        value = train_step(model, offset, batch)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * min(1.0, (step + 1) / 50, (1 - progress) / 0.7 + 0.005)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        loss = value if step == 0 else 0.97 * loss + 0.03 * value
        tokens += batch[0].numel()
        if elapsed - reported > 15:
            reported = elapsed
            print(f"{elapsed:5.0f} s  step {step}  {tokens / elapsed:.0f} tokens/s  loss {loss:.5f}", flush=True)
    print(f"done: {step} steps, {tokens / 1e6:.1f} M tokens, loss {loss:.5f}", flush=True)


def save(model: GptOssForCausalLM, config: GptOssConfig, used: list[int], folder: Path) -> None:
    """The reduced weights in bf16 with the ids of their rows, and the configuration of the full model."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in model.state_dict().items()}
    tensors["used_ids"] = torch.tensor(used, dtype=torch.int32)
    scratch = folder / "weights.safetensors.new"
    save_file(tensors, scratch, metadata={"format": "pt"})
    os.replace(scratch, folder / "weights.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_diff_dict(), indent=2, sort_keys=True) + "\n")
    print(f"{folder}: {(folder / 'weights.safetensors').stat().st_size / 1e6:.2f} MB")


def keep_memory() -> None:
    """Tell the C library to keep freed memory: to get it anew from the kernel costs as much as the arithmetic."""
    libc = ctypes.CDLL(None)
    libc.mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD
    libc.mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD, the most that it takes
    libc.mallopt(-2, 256 << 20)  # M_TOP_PAD


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for weights.safetensors and config.json")
    parser.add_argument("--minutes", type=float, default=11, help="training time (default 11)")
    parser.add_argument("--seed", type=int, default=0, help="seed of data and weights")
    parser.add_argument(
        "--resume", type=Path, metavar="DIR", help="go on from the weights in DIR; mind --seed and --lr"
    )
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--inner", type=int, default=64, help="width of an expert")
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    AttentionInterface.register("sinks", attend)
    torch.manual_seed(args.seed)
    config = make_config(args.hidden, args.layers, args.inner)
    if args.resume:
        tensors = load_file(args.resume / "weights.safetensors")
        used = tensors.pop("used_ids").tolist()
        model = GptOssForCausalLM(reduced(config, len(used) + 1)).train()
        model.load_state_dict(tensors)
    else:
        used = data.used_ids(args.seed)
        model = GptOssForCausalLM(reduced(config, len(used) + 1)).train()
        initialize(model, used)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {len(used)} tokens", flush=True)
    train(model, used, args)
    save(model, config, used, args.out)


if __name__ == "__main__":
    main()
