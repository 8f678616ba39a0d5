"""vLLM's own reasoning and tool parsers behind `Parsers`, for families that the server's table lacks. Imports vllm
like its neighbours, and as lazily.

vLLM composes both into one parser that speaks Chat Completions. Everything of that - request objects, delta messages -
stays in here.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from realtime.engine.base import EngineError
from realtime.engine.options import VllmOptions
from realtime.engine.parsing import BadSpec, CallFragment, Holds, Parsed, ParseSpec

log = logging.getLogger("realtime.engine.vllm.parsers")

_NO_NAMES = ("auto", "none")
_BY_TEMPLATE = "hf"  # vLLM's name for what the model's own response template describes; it is in no list


class Named(NamedTuple):
    """The names of vLLM's parsers; None: none of that kind."""

    reasoning: str | None = None
    tool: str | None = None


def named(options: VllmOptions) -> Named:
    """Return the parsers that were asked for."""
    return Named(*(None if name in _NO_NAMES else name for name in (options.reasoning_parser, options.tool_parser)))


def check_names(options: VllmOptions) -> None:
    """Raise EngineError for a parser that vLLM does not have, before a start that takes minutes."""
    from vllm.reasoning import ReasoningParserManager
    from vllm.tool_parsers import ToolParserManager

    own_reasoning = "reasoning_parser_plugin" in options.extra  # registers names of its own when EngineCore starts
    for kind, name, manager in (
        ("reasoning_parser", None if own_reasoning else named(options).reasoning, ReasoningParserManager),
        ("tool_parser", named(options).tool, ToolParserManager),
    ):
        known = sorted({*manager.list_registered(), _BY_TEMPLATE})
        if name is not None and name not in known:
            close = difflib.get_close_matches(name, known)
            hint = f", close to {', '.join(close)}" if close else ""
            raise EngineError(f"{kind}: vLLM has no parser {name!r}{hint}. It has: {', '.join(known)}")


class VllmParsers:
    """`Parsers` for one model. The form in which such a family writes calls is not known, so they can't
    be constrained.
    """

    holds = Holds(auto=False, forced=False)

    def __init__(self, tokenizer: Any, model_config: Any, names: Named) -> None:
        """Raises EngineError for a name that vLLM does not know or a tokenizer that the parser can't work with."""
        from vllm.parser.parser_manager import ParserManager

        self._tokenizer = tokenizer
        self._model_config = model_config
        try:
            self._cls = ParserManager.get_parser(
                tool_parser_name=names.tool,
                reasoning_parser_name=names.reasoning,
                enable_auto_tools=True,
                tokenizer=tokenizer,
            )
        except (TypeError, KeyError) as error:
            raise EngineError(f"vLLM can't parse with {names}: {error}") from error
        log.info("vLLM's output parsers reasoning=%s tool=%s", names.reasoning, names.tool)

    def open(self, spec: ParseSpec, prompt_token_ids: Sequence[int]) -> _Parser:
        """See Parsers."""
        from pydantic import ValidationError
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
        from vllm.exceptions import VLLMValidationError

        kwargs = dict(spec.template_kwargs)
        try:
            request = ChatCompletionRequest.model_validate(
                {
                    "messages": [],
                    "tools": list(spec.tools) or None,
                    "tool_choice": "auto" if spec.tools else "none",
                    "chat_template_kwargs": kwargs,
                }
            )
            parser = self._cls(
                self._tokenizer, request.tools, chat_template_kwargs=kwargs, model_config=self._model_config
            )
            return _Parser(parser, parser.adjust_request(request), self._newest(prompt_token_ids))
        except (ValidationError, VLLMValidationError, ValueError) as error:
            raise BadSpec(str(error)) from error

    def _newest(self, prompt_token_ids: Sequence[int]) -> list[int]:
        """Return the prompt after the last finished turn: the end of that turn's reasoning says nothing about
        this one.
        """
        ids = list(prompt_token_ids)
        eos = self._tokenizer.eos_token_id
        return ids[len(ids) - ids[::-1].index(eos) :] if eos in ids else ids


class _Parser:
    """An `OutputParser` on one of vLLM's parsers."""

    def __init__(self, parser: Any, request: Any, prompt_token_ids: list[int]) -> None:
        self._parser = parser
        self._request = request
        self._prompt: list[int] | None = prompt_token_ids
        self.skip_special_tokens: bool = request.skip_special_tokens
        self.reasoning_ended: bool | None = request.resolve_reasoning_ended(parser, prompt_token_ids)

    def feed(self, text: str, token_ids: Sequence[int], *, finished: bool = False) -> list[Parsed]:
        """See OutputParser."""
        prompt, self._prompt = self._prompt, None  # with the first call only
        delta = self._parser.parse_delta(text, list(token_ids), self._request, prompt, finished=finished)
        if delta is None:
            return []
        calls = [_fragment(call) for call in delta.tool_calls or ()]
        return [Parsed(reasoning=delta.reasoning or "", text=delta.content or "", calls=calls)]

    def num_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """See OutputParser."""
        return int(self._parser.count_reasoning_tokens(list(token_ids)))


def _fragment(call: Any) -> CallFragment:
    function = call.function
    if function is None:
        return CallFragment(call.index, None, "")
    return CallFragment(call.index, function.name or None, function.arguments or "")
