"""The cost of reading an answer, per token: vLLM's parsers, and the machine on the same tokens.

One answer of each kind and family, one token per chunk, as the engine delivers them when it is not busy.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Protocol

from realtime.context.request_tools import tool_set
from realtime.dialects.foreign import ForeignReader
from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.parser import Asked, MarkupParser
from realtime.dialects.markup.tokens import Markup
from realtime.dialects.markup.writer import write_calls
from realtime.dialects.reader import Reading
from realtime.engine.base import TokenChunk
from realtime.engine.options import STARTER_MODEL

from . import plan
from .measure import progress, table

FAMILIES = (  # the row, vLLM's parsers, and the tokens that the starter's tokenizer lacks
    ("qwen3", ("qwen3", "hermes"), ()),
    ("qwen3_5", ("qwen3", "qwen3_coder"), ()),
    ("glm47", ("glm45", "glm47"), ("<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>")),
)
TOOL: dict[str, Any] = {
    "type": "function",
    "name": "write",
    "parameters": {"type": "object", "properties": {"text": {"type": "string"}, "list": {"type": "array"}}},
}
WORDS = "The weather in Paris is sunny today, and it will stay so for some days; "
WARM = 8  # tokens before the clock starts: marks, and the name


class Size(plan.Size, frozen=True, kw_only=True):
    """A size of this target: runs, of which the least counts."""

    repeats: int


SIZES: dict[plan.Name, Size] = {
    "long": Size(text="the least of 7 runs", repeats=7, work=20),
    "full": Size(text="the least of 3 runs", repeats=3, work=14),
    "short": Size(text="the least of 2 runs", repeats=2, work=12),
    "quick": Size(text="a run", repeats=1, work=10),
    "tiny": Size(text="a run", repeats=1),
}


class _Parser(Protocol):
    def feed(self, chunk: TokenChunk) -> Any:
        """See dialects.base.Parser."""


def run(share: plan.Share[Size], figures: dict[str, Any]) -> None:
    """Measure microseconds of CPU time per token, the least of some runs, and fill in the figures."""
    logging.getLogger("realtime").setLevel(logging.WARNING)
    for name, names, added in FAMILIES:
        progress(name)
        for kind, found in _family(name, names, added, share.size.repeats).items():
            figures[f"{name} {kind}"] = found
    rows = [(name, found["vllm"], found["machine"]) for name, found in figures.items()]
    table(
        "Reading an answer, microseconds of CPU time per token",
        ("family and kind", "vLLM's parsers", "the machine"),
        rows,
    )


def _family(name: str, names: tuple[str, str], added: Sequence[str], repeats: int) -> dict[str, dict[str, float]]:
    from realtime.engine.vllm.parsers import Named, VllmParsers

    tokenizer = _tokenizer(added)
    row = ALL_FAMILIES[name]
    markup = Markup.of_tokenizer(row, tokenizer)
    tools = tool_set([TOOL], None, None)
    config = SimpleNamespace(hf_config=SimpleNamespace(model_type="qwen3"), hf_text_config=None)
    foreign = ForeignReader(VllmParsers(tokenizer, config, Named(*names)))
    makes: dict[str, Callable[[], _Parser]] = {
        "vllm": lambda: foreign.open(Reading(tools=tools)),
        "machine": lambda: MarkupParser(markup, Asked(tools=tools)),
    }
    found = {}
    for kind, answer in _answers(name).items():
        chunks = [TokenChunk(tokenizer.decode([one]), [one]) for one in tokenizer.encode(answer)]
        found[kind] = {by: _least(make, chunks, repeats) for by, make in makes.items()}
    return found


def _answers(name: str) -> dict[str, str]:
    row = ALL_FAMILIES[name]
    arguments = {"text": WORDS * 40, "list": [1, {"a": "b c d", "e": None}] * 30}
    return {
        "text": "Hi. " + WORDS * 60,
        "reasoning": row.thinking[0].begin + WORDS * 60,
        "arguments": write_calls(row.calls[0], [("write", arguments)]),
    }


def _tokenizer(added: Sequence[str]) -> Any:
    from tokenizers import AddedToken
    from transformers import AutoTokenizer
    from vllm.tokenizers.hf import get_cached_tokenizer

    tokenizer = copy.deepcopy(AutoTokenizer.from_pretrained(STARTER_MODEL))
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in added])
    return get_cached_tokenizer(tokenizer)


def _least(make: Callable[[], _Parser], chunks: Sequence[TokenChunk], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        parser = make()
        for chunk in chunks[:WARM]:
            parser.feed(chunk)
        began = time.thread_time()
        for chunk in chunks[WARM:]:
            parser.feed(chunk)
        times.append((time.thread_time() - began) / (len(chunks) - WARM) * 1e6)
    return float(f"{min(times):.3g}")
