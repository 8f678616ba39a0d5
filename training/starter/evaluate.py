"""Ask the starter model fresh questions through real vLLM and score each skill.

    python -m training.starter.evaluate realtime/models/starter --samples 50

Everything is as in service: the model's own chat template writes the prompt, vLLM generates
(greedily, unless `--temperature` says otherwise), and vLLM's parsers ("qwen3" for reasoning,
"hermes" for tool calls) read the answer. A dialogue counts only if every message in it that the
model has to write is right: the text to the letter, calls to the value.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.starter import data, lexicon, toolbox

if TYPE_CHECKING:
    from vllm import LLM

DEFAULT_MODEL = Path(__file__).parents[2] / "realtime" / "models" / "starter"
#: far from the training seeds (0, 1, ...): the dialogues are new, though short ones may coincide
DEFAULT_SEED = 20_261_121
LONG_STORY_TOKENS = 350
#: one process and one thread; vLLM reads these when it is imported
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "CRITICAL",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}
#: a story and what is thought before it fit
MAX_TOKENS = 900
#: of the model's generation_config.json
TOP_P = 0.9
#: skills that are hard for so small a model must reach less than `--min-score`
FLOORS = {"list": 0.45, "parallel": 0.45, "subtract": 0.55, "missing_tool": 0.6, "chain": 0.6}

SHOWN_QUESTIONS = (
    "hello",
    "Who are you?",
    "Count to 10",
    "What is 27 + 58?",
    "Spell banana",
    "What is the capital of France?",
    "Write a haiku about the sea",
    "What is the weather in Paris?",
    "Tell me a story about a fox in a forest.",
    "Tell me a long story",
)


@dataclass(frozen=True)
class Answer:
    """What the parsers made of one generation."""

    content: str
    calls: list[dict[str, Any]]
    reasoning: str
    tokens: int
    finished: bool


@dataclass(frozen=True)
class Task:
    """One message that the model must write, in the dialogue up to there."""

    dialogue: data.Dialogue
    index: int

    @property
    def expected(self) -> data.Message:
        return self.dialogue.messages[self.index]

    @property
    def question(self) -> str:
        asked = [m["content"] for m in self.dialogue.messages[: self.index] if m["role"] == "user"]
        return asked[-1]


def make_llm(model: Path | str) -> LLM:
    """The engine, small and quick to start."""
    os.environ.update(ENVIRONMENT | os.environ)  # what is set stays
    from vllm import LLM

    return LLM(
        model=str(model),
        max_model_len=4096,
        max_num_seqs=64,
        enforce_eager=True,
        kv_cache_memory_bytes=256 << 20,
    )


def generate(llm: LLM, tasks: list[Task], temperature: float = 0.0) -> list[Answer]:
    """Answers to all tasks, in one batch; greedy ones, unless a temperature is given."""
    from vllm import SamplingParams

    tokenizer = llm.get_tokenizer()
    prompts: Any = [{"prompt_token_ids": prompt_of(task, tokenizer)} for task in tasks]
    sampling = SamplingParams(temperature=temperature, top_p=TOP_P, max_tokens=MAX_TOKENS)
    made = llm.generate(prompts, sampling, use_tqdm=False)
    outputs = [one.outputs[0] for one in made]
    return [
        read(task, tokenizer, output.text, output.token_ids, output.finish_reason == "stop")
        for task, output in zip(tasks, outputs, strict=True)
    ]


def _template_options(task: Task) -> dict[str, Any]:
    return {} if task.dialogue.thinking else {"enable_thinking": False}


def prompt_of(task: Task, tokenizer: Any) -> list[int]:
    """The dialogue up to the message, by the model's chat template, as tokens."""
    text = tokenizer.apply_chat_template(
        task.dialogue.messages[: task.index],
        tools=task.dialogue.schemas(),
        add_generation_prompt=True,
        tokenize=False,
        **_template_options(task),
    )
    token_ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return token_ids


def read(task: Task, tokenizer: Any, text: str, token_ids: Sequence[int], finished: bool) -> Answer:
    """What vLLM's parsers make of a generation; `finished` is whether the model ended it."""
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.parser.parser_manager import ParserManager

    cls = ParserManager.get_parser(tool_parser_name="hermes", reasoning_parser_name="qwen3", enable_auto_tools=True)
    request = ChatCompletionRequest(
        messages=[{"role": "user", "content": task.question}],
        tools=task.dialogue.schemas(),
        chat_template_kwargs=_template_options(task) or None,
    )
    parser = cls(tokenizer, request.tools, chat_template_kwargs=_template_options(task))
    reasoning, content, calls = parser.parse(text, request, enable_auto_tools=True, model_output_token_ids=token_ids)
    return Answer(
        content=(content or "").strip("\n"),
        calls=[_readable(call.name, call.arguments) for call in calls or []],
        reasoning=(reasoning or "").strip(),
        tokens=len(token_ids),
        finished=finished,
    )


def _readable(name: str, arguments: str | dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "arguments": json.loads(arguments) if isinstance(arguments, str) else arguments,
    }


def is_right(task: Task, answer: Answer) -> bool:
    """Stories are free within their form; everything else has exactly one right answer."""
    if not answer.finished or bool(answer.reasoning) != task.dialogue.thinking:
        return False
    wanted = [_readable(**call["function"]) for call in task.expected.get("tool_calls", [])]
    if answer.calls != wanted:
        return False
    expected = task.expected["content"]
    if not expected.endswith("The end."):
        return answer.content == expected
    return is_story(task.question, answer, long=expected.startswith("Chapter 1."))


def is_story(question: str, answer: Answer, long: bool) -> bool:
    """A story begins and ends like one and is about what was asked for."""
    start = "Chapter 1. Once upon a time" if long else "Once upon a time"
    named = set(re.findall(r"[a-z]+", question.lower())) & {*lexicon.ANIMALS, *lexicon.PLACES}
    right_form = answer.content.startswith(start) and answer.content.endswith("The end.")
    right_length = not long or (answer.tokens >= LONG_STORY_TOKENS and "Chapter 3." in answer.content)
    return right_form and right_length and all(noun in answer.content for noun in named)


def make_tasks(skills: Iterable[str], samples: int, seed: int) -> dict[str, list[list[Task]]]:
    """For each skill its dialogues, each as the list of messages to be written."""
    made = {}
    for skill in skills:
        rng = random.Random(f"{seed}/{skill}")
        dialogues = [data.write(rng, skill) for _ in range(samples)]
        made[skill] = [[Task(dialogue, index) for index in dialogue.targets()] for dialogue in dialogues]
    return made


def evaluate(
    model_dir: Path | str,
    samples_per_skill: int = 20,
    seed: int = DEFAULT_SEED,
    skills: Iterable[str] | None = None,
    llm: LLM | None = None,
    misses: list[str] | None = None,
) -> dict[str, float]:
    """The share of right dialogues for each skill; lines about wrong ones are added to `misses`."""
    made = make_tasks(skills or data.EVALUATED, samples_per_skill, seed)
    return score(made, generate(llm or make_llm(model_dir), tasks_of(made)), misses)


def slips(tasks: list[Task], answers: list[Answer]) -> str:
    """How often it rambled, and how often it called a tool that was not offered."""
    endless = sum(not answer.finished for answer in answers)
    named = [
        call["name"] in {schema["function"]["name"] for schema in task.dialogue.schemas() or []}
        for task, answer in zip(tasks, answers, strict=True)
        for call in answer.calls
    ]
    wrong = named.count(False)
    return f"{endless} of {len(answers)} answers without an end, {wrong} of {len(named)} calls of a tool not offered"


def tasks_of(made: dict[str, list[list[Task]]]) -> list[Task]:
    """All messages to be written, in the order in which `score` wants their answers."""
    return [task for groups in made.values() for group in groups for task in group]


def score(
    made: dict[str, list[list[Task]]], written: Iterable[Answer], misses: list[str] | None = None
) -> dict[str, float]:
    """The share of right dialogues for each skill; lines about wrong ones are added to `misses`."""
    answers = dict(zip(map(id, tasks_of(made)), written, strict=True))
    scores = {}
    for skill, groups in made.items():
        right = 0
        for group in groups:
            wrong = [task for task in group if not is_right(task, answers[id(task)])]
            right += not wrong
            if wrong and misses is not None:
                misses.append(_describe(skill, wrong[0], answers[id(wrong[0])]))
        scores[skill] = right / len(groups)
    return scores


def _describe(skill: str, task: Task, answer: Answer) -> str:
    wanted: Any = task.expected["content"] or [_readable(**c["function"]) for c in task.expected["tool_calls"]]
    shown = [f"{str(text)[:150]!r}" for text in (wanted, answer.content or answer.calls)]
    mode = "" if task.dialogue.thinking else " (no thinking)"
    asked = f"{skill}{mode}: {task.question!r}"
    return "\n".join([asked, f"    wanted {shown[0]}", f"    got    {shown[1]}"])


def show(llm: LLM, temperature: float) -> None:
    """A handful of answers for the eye."""
    from vllm import SamplingParams

    weather = [toolbox.make_tool(random.Random(0), toolbox.WEATHER).schema()]
    for question in SHOWN_QUESTIONS:
        tools = weather if "weather" in question else None
        params = SamplingParams(temperature=temperature, top_p=0.9, max_tokens=900, seed=1)
        output = llm.chat([{"role": "user", "content": question}], params, tools=tools, use_tqdm=False)[0].outputs[0]
        print(f"\n>>> {question}\n{output.text}  [{len(output.token_ids)} tokens, {output.finish_reason}]")


def print_table(scores: dict[str, float], samples: int) -> None:
    print(f"{'skill':<20}{'score':>7}   ({samples} dialogues each)")
    for skill, score in scores.items():
        print(f"{skill:<20}{score:>7.2f}")
    print(f"{'mean':<20}{sum(scores.values()) / len(scores):>7.2f}")


def below(scores: dict[str, float], floor: float) -> list[str]:
    """The skills that miss their threshold: the given one, or the lower one of a hard skill."""
    return [skill for skill, score in scores.items() if score < min(floor, FLOORS.get(skill, floor))]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--samples", type=int, default=50, help="dialogues per skill (default 50)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--skills", nargs="+", choices=list(data.EVALUATED), help="only these")
    parser.add_argument("--min-score", type=float, help="exit with 1 if any skill scores less (hard ones have FLOORS)")
    parser.add_argument("--misses", type=int, default=0, help="print so many wrong answers per skill")
    parser.add_argument("--show", action="store_true", help="print answers to a handful of questions first")
    parser.add_argument("--temperature", type=float, default=0.0, help="sample at this one (default 0: greedy)")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    llm = make_llm(args.model)
    if args.show:
        show(llm, args.temperature)
    misses: list[str] = []
    made = make_tasks(args.skills or data.EVALUATED, args.samples, args.seed)
    answers = generate(llm, tasks_of(made), args.temperature)
    scores = score(made, answers, misses)
    for skill in scores:
        for line in [m for m in misses if m.split(":")[0].split(" (")[0] == skill][: args.misses]:
            print(line)
    print_table(scores, args.samples)
    print(slips(tasks_of(made), answers))
    print(json.dumps({"model": str(args.model), "samples": args.samples, "seed": args.seed, "scores": scores}))
    weak = [] if args.min_score is None else below(scores, args.min_score)
    if weak:
        print(f"too low: {', '.join(weak)}", file=sys.stderr)
    return 1 if weak else 0


if __name__ == "__main__":
    sys.exit(main())
