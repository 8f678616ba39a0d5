"""A constraint as the engine would take it, made in this process with the whole of xgrammar."""

from __future__ import annotations

from realtime.engine import json_grammar, structural_tags


def _grammar(syntax: str, definition: str, in_json: bool) -> structural_tags.Form:
    """See structural_tags.Expand. The notation of a grammar is guessed as vLLM does."""
    from vllm.v1.structured_output.utils import grammar_is_likely_lark
    from xgrammar import Grammar

    if syntax == "regex":
        read = Grammar.from_regex(definition)
    elif grammar_is_likely_lark(definition):
        read = Grammar.from_lark(definition)
    else:
        read = Grammar.from_ebnf(definition)
    return {"type": "grammar", "grammar": json_grammar.escape(str(read)) if in_json else str(read)}


def expanded(tag: str) -> str:
    """A tag in source form, as xgrammar reads it."""
    return structural_tags.expand(tag, _grammar)
