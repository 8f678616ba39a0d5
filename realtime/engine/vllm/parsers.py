"""vLLM's reasoning and tool parsers behind `OutputParser`. Imports vllm, like its neighbours, and as lazily.

vLLM composes both into one parser that speaks Chat Completions. Everything of that - request objects, delta messages,
structural tags - stays in here. What vLLM's parsers get wrong is set right above it, in dialects.chat_parser.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from realtime.engine import structural_tags
from realtime.engine.base import EngineError
from realtime.engine.families import Family, detect
from realtime.engine.options import VllmOptions
from realtime.engine.parsing import BadSpec, CallFragment, Constraint, Holds, Parsed, ParseSpec
from realtime.engine.token_steps import Step, TokenSteps
from realtime.wire.json_text import is_json

log = logging.getLogger("realtime.engine.vllm.parsers")

# Reasoning parsers that take everything for reasoning until its end, of models that begin it themselves, or not at all.
OPENED_BY_MODEL = frozenset({"qwen3", "deepseek_r1"})
# Parsers whose markup begins with one of `<[{|(` or a backtick, so that other text goes through them as it is.
_QUIET = frozenset(
    {
        None, "deepseek_r1", "deepseek_v3", "deepseek_v31", "glm45", "glm47", "hermes", "kimi_k2", "llama3_json",
        "minimax_m2", "mistral", "qwen3", "qwen3_coder", "qwen3_xml", "qwen3_json", "seed_oss",
    }
)  # fmt: skip


def parser_names(options: VllmOptions, tokenizer: Any, model_config: Any) -> Family:
    """The parsers to use: what the user says, else what the chat template shows."""
    found = detect(model_config.hf_config.model_type, chat_template(tokenizer))
    return Family(_chosen(options.reasoning_parser, found.reasoning), _chosen(options.tool_parser, found.tool))


def chat_template(tokenizer: Any) -> str:
    """The tokenizer's template; with several, the one for tools, which shows the most markup."""
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):
        template = template.get("tool_use") or next(iter(template.values()), "")
    return template or ""


def _chosen(option: str, found: str | None) -> str | None:
    return found if option == "auto" else None if option == "none" else option


class VllmParsers:
    """`Parsers` for one model."""

    def __init__(self, tokenizer: Any, model_config: Any, names: Family) -> None:
        """Raises EngineError for a name that vLLM does not know or a tokenizer that the parser can't work with."""
        from vllm.parser.parser_manager import ParserManager

        self._tokenizer = tokenizer
        self._model_config = model_config
        self._opened_by_model = names.reasoning in OPENED_BY_MODEL
        self.quiet = names.reasoning in _QUIET and names.tool in _QUIET
        try:
            self._cls = ParserManager.get_parser(
                tool_parser_name=names.tool,
                reasoning_parser_name=names.reasoning,
                enable_auto_tools=True,
                tokenizer=tokenizer,
            )
        except TypeError as error:
            raise EngineError(f"vLLM can't parse with {names}: {error}") from error
        self.holds = Holds(self._can_hold("auto"), self._can_hold("required"))
        holds = [name for name in ("auto", "forced") if getattr(self.holds, name)]
        log.info(
            "output parsers reasoning=%s tool=%s holds=%s", names.reasoning, names.tool, ",".join(holds) or "nothing"
        )

    def open(self, spec: ParseSpec, prompt_token_ids: Sequence[int]) -> _Parser:
        """See Parsers."""
        from pydantic import ValidationError
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
        from vllm.exceptions import VLLMValidationError

        try:
            request = ChatCompletionRequest.model_validate(
                {
                    "messages": [],
                    "tools": [_with_mark(tool, spec) for tool in spec.tools] or None,
                    "tool_choice": spec.tool_choice if spec.tools else "none",
                    "parallel_tool_calls": spec.parallel,
                    "response_format": spec.output_format,
                    "chat_template_kwargs": dict(spec.template_kwargs),
                }
            )
            parser = self._make(request, spec)
            if parser is not None:
                request = parser.adjust_request(request)
            prompt = self._newest(prompt_token_ids)
            make = partial(self._make, request, spec)
            constraint = _constraint(request, spec)
            return _Parser(make, parser, request, prompt, constraint, opened_by_model=self._opened_by_model)
        except (ValidationError, VLLMValidationError, ValueError) as error:
            raise BadSpec(str(error)) from error

    def _can_hold(self, choice: str) -> bool:
        """Whether vLLM makes a constraint of a strict tool, by making one."""
        function = {"name": "f", "parameters": {"type": "object", "properties": {}}, "strict": True}
        spec = ParseSpec(tools=({"type": "function", "function": function},), tool_choice=choice)
        return self.open(spec, ()).constraint is not None

    def _newest(self, prompt_token_ids: Sequence[int]) -> list[int]:
        """The prompt after the last finished turn: the end of that one's reasoning says nothing about this one."""
        ids = list(prompt_token_ids)
        eos = self._tokenizer.eos_token_id
        return ids[len(ids) - ids[::-1].index(eos) :] if eos in ids else ids

    def _make(self, request: Any, spec: ParseSpec) -> Any:
        if self._cls is None:
            return None
        kwargs = {"chat_template_kwargs": dict(spec.template_kwargs), "model_config": self._model_config}
        return self._cls(self._tokenizer, request.tools, **kwargs)


class _Marks(NamedTuple):
    """Tokens at which a new stretch of output may begin; None where the parsers have no such token."""

    think: int | None = None
    think_end: int | None = None
    call: int | None = None
    call_end: int | None = None


class _Parser:
    """`OutputParser` on one of vLLM's; on None everything is text.

    vLLM's are fed one token at a time (see token_steps). Most of them read reasoning, text and calls once and in this
    order: text after a call is lost, a second reasoning is text. So where they have tokens to tell by, what comes
    after a call, and each further reasoning, is a stretch of its own with a parser of its own.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        parser: Any,
        request: Any,
        prompt_token_ids: list[int],
        constraint: Constraint | None,
        *,
        opened_by_model: bool,
    ) -> None:
        self._make = make
        self._parser = parser
        # A call that is not allowed is parsed all the same, so as not to be text, and left out.
        self._no_calls = bool(request.tools) and request.tool_choice == "none"
        self._request = request.model_copy(update={"tool_choice": "auto"}) if self._no_calls else request
        self._prompt: list[int] | None = prompt_token_ids
        self.skip_special_tokens: bool = request.skip_special_tokens
        self.constraint = constraint
        self.reasoning_ended: bool | None = request.resolve_reasoning_ended(parser, prompt_token_ids)
        self._marks = _marks(parser) if request.tool_choice in ("auto", "none") else _Marks()
        self._alone = frozenset(mark for mark in self._marks if mark is not None)
        tokenizer = parser.model_tokenizer if parser is not None else None
        self._steps = TokenSteps(tokenizer, skip_special_tokens=self.skip_special_tokens)
        # Without its reasoning begun, by the prompt or by the model, it answers, and the parser would not see that.
        think = self._marks.think
        open_to_model = opened_by_model and self.reasoning_ended is False and think is not None
        self._may_answer_at_once = open_to_model and think not in prompt_token_ids
        self._first_index = 0  # of the calls in this stretch
        self._num_calls = 0  # in all
        self._answering = False  # something other than reasoning was said in this stretch
        self._in_call = False
        self._call_over = False
        self._arguments = ""  # of the newest call
        self._reasoned = False
        self._think_over = False
        self._due = ""  # text that nothing was said of yet
        tool = parser.tool_parser if parser is not None else None
        self._keeps_back = tool is not None and not tool.engine_based_streaming  # and does not say so at the end
        # Some look for a call where the text begins, which is behind the line ends that follow the reasoning.
        self._finds_calls = tool is not None
        self._trims = False  # now

    def feed(self, text: str, token_ids: Sequence[int], *, finished: bool = False, plain: bool = False) -> list[Parsed]:
        """See OutputParser."""
        if self._parser is None:
            return [Parsed(text=text)]
        at_once = plain and self._alone.isdisjoint(token_ids)
        steps = self._steps.whole(text, token_ids) if at_once else self._steps.split(text, token_ids)
        said = [parsed for step in steps for parsed in self._step(step)]
        if finished:
            said.append(self._parse("", [], finished=True))
            self._account("", said[-1])
            said.append(Parsed(text=self._kept_back()))
        return said

    def num_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """See OutputParser. Reasoning that the prompt began has no token to be counted from."""
        if self._parser is None:
            return 0
        count = int(self._parser.count_reasoning_tokens(list(token_ids)))
        think = self._marks.think
        if count or not self._reasoned or think is None:
            return count
        return int(self._parser.count_reasoning_tokens([think, *token_ids]))

    def _step(self, step: Step) -> Iterator[Parsed]:
        marks = self._marks
        mark = step.token_ids[0] if len(step.token_ids) == 1 else None
        if self._begins_stretch(step.text, mark):
            yield Parsed(text=self._kept_back())
            self._begin_stretch(thinks=mark is not None and mark == marks.think)
        text = step.text.lstrip() if self._trims else step.text
        if not text and step.text:
            return
        self._trims = self._finds_calls and mark is not None and mark == marks.think_end
        parsed = self._parse(text, step.token_ids, finished=False)
        if self._steps.is_markup(step):
            self._due = ""
        else:
            self._account(text, parsed)
        self._follow(mark, parsed)
        yield parsed

    def _begins_stretch(self, text: str, mark: int | None) -> bool:
        thinks = mark is not None and mark == self._marks.think
        blank = not text.strip()
        if self._may_answer_at_once:
            self._trims = blank
            self._may_answer_at_once = blank
            return not blank and not thinks
        if self._call_over and not blank:
            self._call_over = False
            return mark is None or mark != self._marks.call
        again = self._answering or self._think_over
        return thinks and again and (not self._in_call or is_json(self._arguments))

    def _begin_stretch(self, *, thinks: bool) -> None:
        self._parser = self._make()
        self._prompt = [] if thinks or self._marks.think_end is None else [self._marks.think_end]
        self._first_index = self._num_calls
        self._answering = self._in_call = False
        self._think_over = not thinks

    def _follow(self, mark: int | None, parsed: Parsed) -> None:
        """Keep track of where in the stretch it is."""
        marks = self._marks
        self._reasoned = self._reasoned or bool(parsed.reasoning)
        self._answering = self._answering or bool(parsed.calls) or bool(parsed.text.strip())
        self._think_over = self._think_over or (mark is not None and mark == marks.think_end)
        if parsed.calls or (mark is not None and mark == marks.call):
            self._in_call = True
        if mark is not None and mark == marks.call_end and self._in_call:
            self._in_call, self._call_over = False, True

    def _account(self, text: str, parsed: Parsed) -> None:
        """Keep track of text that the parser has said nothing of."""
        self._due += text
        if parsed.calls or parsed.reasoning or not self._due.startswith(parsed.text):
            self._due = ""
        else:
            self._due = self._due[len(parsed.text) :]

    def _kept_back(self) -> str:
        """Text that might have become a call and has not. The beginning of a call that was cut off is none."""
        due, self._due = self._due, ""
        if self._in_call or not self._keeps_back or (due.lstrip()[:1] in ("{", "[") and not is_json(due)):
            return ""
        return due

    def _parse(self, text: str, token_ids: list[int], *, finished: bool) -> Parsed:
        prompt, self._prompt = self._prompt, None  # with the first call only
        delta = self._parser.parse_delta(text, token_ids, self._request, prompt, finished=finished)
        if delta is None:
            return Parsed()
        calls = [self._fragment(call) for call in delta.tool_calls or () if not self._no_calls]
        return Parsed(reasoning=delta.reasoning or "", text=delta.content or "", calls=calls)

    def _fragment(self, call: Any) -> CallFragment:
        index = self._first_index + call.index
        self._num_calls = max(self._num_calls, index + 1)
        function = call.function
        name, arguments = (function.name or None, function.arguments or "") if function is not None else (None, "")
        self._arguments = arguments if name else self._arguments + arguments
        return CallFragment(index, name, arguments)


def _marks(parser: Any) -> _Marks:
    """The tokens of these parsers. Where calls end is known of those only whose calls are between two tokens each."""
    if parser is None:
        return _Marks()
    vocab = parser.model_tokenizer.get_vocab()
    reasoning, tool = parser.reasoning_parser, parser.tool_parser
    if tool is not None and tool.engine_based_streaming:
        tool = None  # reads text after calls itself
    think = vocab.get(getattr(reasoning, "reasoning_start_str", None))
    think_end = vocab.get(getattr(reasoning, "reasoning_end_str", None))
    call = vocab.get(getattr(tool, "tool_call_start_token", None))
    call_end = vocab.get(getattr(tool, "tool_call_end_token", None))
    paired = call is not None and call_end is not None and not hasattr(tool, "tool_calls_start_token")
    return _Marks(think, think_end, call if paired else None, call_end if paired else None)


def _with_mark(tool: dict[str, Any], spec: ParseSpec) -> dict[str, Any]:
    """A tool whose parameters are found again in the structural tag that vLLM makes, if calls may be held to them."""
    function = tool["function"]
    if function["name"] not in spec.held:
        return tool
    parameters = structural_tags.mark(function["parameters"], function["name"])
    return {**tool, "function": {**function, "parameters": parameters}}


def _constraint(request: Any, spec: ParseSpec) -> Constraint | None:
    """What `adjust_request` and the output format came to."""
    params = request.extract_structured_outputs()
    match params:
        case None:
            return None
        case _ if params.json_object:
            return Constraint("structural_tag", structural_tags.of_json({"type": "object"}))
        case _ if params.json is not None:
            schema = json.loads(params.json) if isinstance(params.json, str) else params.json
            return Constraint("structural_tag", structural_tags.of_json(schema, "text.format.schema"))
        case _ if params.structural_tag is not None:
            return Constraint("structural_tag", structural_tags.as_written(params.structural_tag, spec.held))
    raise BadSpec("the output format can't be constrained")
