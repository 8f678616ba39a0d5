"""Constraints on sampling, from the first token on, as xgrammar's structural tag, written from a family's row. Pure.

Strict tools, forced calls, grammars of custom tools and output formats are enforced in the family's own form, with the
white space that its template writes. Reasoning stays free. Control tokens are named by their ids, because nothing else
can be one. Parts that clients wrote are in source form: see engine.structural_tags.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from realtime.context.tools import Mode, Tool, ToolSet
from realtime.engine import structural_tags
from realtime.engine.parsing import BadSpec
from realtime.engine.structural_tags import LINE_ENDS, Form

from .family import NAME, NUMBER, Calls, Elements, Family, Json, Key, Literals, Member, Named, Tags
from .machine import Start
from .values import Values, choice, optional, sequence, text

_SCHEMA = "text.format.schema"
_NUMBER: Form = {"type": "regex", "pattern": "[0-9]{1,3}"}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The requirements on an answer. `schema`: of its text; None if that is free. `start`, `thinking`: see Machine."""

    tools: ToolSet
    schema: dict[str, Any] | None = None
    start: Start = Start.FREE
    thinking: int = 0


class TagWriter:
    """A writer of one model's tags. `special`: its control tokens with their ids."""

    def __init__(self, family: Family, special: Mapping[str, int]) -> None:
        self._family = family
        self._special = special
        self._split = re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))) or r"(?!)")

    def write(self, asked: Asked) -> str | None:
        """Return the tag; None if nothing is constrained. Raises BadSpec for a constraint that can't be expressed."""
        tools = asked.tools.tools if asked.tools.mode is not Mode.NONE and self._family.calls else ()
        forced = asked.tools.mode is Mode.REQUIRED
        if asked.tools.only is not None:
            tools = (asked.tools.only,)
        held = self.tells_calls and any(map(asked.tools.holds, tools))
        if not (forced or asked.schema is not None or held):
            return None
        answer = self._answer(asked, tools, forced=forced)
        return structural_tags.tag(sequence(self._before(asked), answer))

    @property
    def tells_calls(self) -> bool:
        """Return whether calls can be constrained where the model may say something else."""
        return any(form.bare or self._first(form) is not None for form in self._family.calls[:1])

    def write_input(self, asked: Asked, tool: Tool) -> str:
        """Return the tag of an answer that is this tool's input, by its grammar, and nothing else."""
        return structural_tags.tag(sequence(self._before(asked), _grammar(tool, in_json=False)))

    def misfit(self, parameters: dict[str, Any]) -> str | None:
        """Return why calls can't be constrained to these parameters; None: they can."""
        tool = Tool(name="f", shown_as="f", parameters=parameters)
        try:
            for form in self._family.calls[:1]:
                self._arguments(form, tool, is_held=True)
        except BadSpec as error:
            return str(error)
        return None

    def _answer(self, asked: Asked, tools: Sequence[Tool], *, forced: bool) -> Form:
        if forced:
            return self._calls(self._form, tools, asked.tools, alone=asked.tools.only is not None)
        if asked.schema is None:
            return self._free(tools, asked.tools)
        wanted = structural_tags.by_json(asked.schema, _SCHEMA)
        return choice([wanted, self._calls(self._form, tools, asked.tools)]) if tools else wanted

    @property
    def _form(self) -> Calls:
        if not self._family.calls:
            raise BadSpec("this model has no form for calls")
        return self._family.calls[0]

    def _marks(self, written: str) -> Iterator[Form]:
        """Yield a mark as it is written: control tokens, and text between them."""
        at = 0
        for found in self._split.finditer(written):
            if found.start() > at:
                yield text(written[at : found.start()])
            yield {"type": "token", "token": self._special[found[0]]}
            at = found.end()
        if at < len(written):
            yield text(written[at:])

    def _mark(self, written: str) -> Form:
        return sequence(*self._marks(written))

    def _anything_but(self, mark: str) -> Form:
        """Return the form of text up to this mark."""
        (first, *_) = list(self._marks(mark))
        if first["type"] == "token":
            return {"type": "any_tokens", "exclude_tokens": [first["token"]]}
        return {"type": "any_text", "excludes": [mark]}

    # -- before the answer

    def _before(self, asked: Asked) -> Form:
        """Return the form of reasoning, if there may be any."""
        ways = self._family.thinking
        if asked.start in (Start.ANSWER, Start.WRAPPED) or not ways:
            return sequence()
        if asked.start is Start.REASONING:
            return self._reasoning(ways[asked.thinking].end)
        begin = ways[0].begin
        layout = begin[: len(begin) - len(begin.lstrip("\n"))]  # which a model may leave out
        before = optional(text(layout)) if layout else sequence()
        return optional(sequence(before, self._mark(begin.strip("\n")), self._reasoning(ways[0].end)))

    def _reasoning(self, end: str) -> Form:
        end = end.strip()
        return sequence(self._anything_but(end), self._mark(end), LINE_ENDS)

    # -- calls

    def _free(self, tools: Sequence[Tool], among: ToolSet) -> Form:
        """Return the form of text in which each call is constrained from its first mark on."""
        form = self._form
        if form.bare:
            rules = [[begin, _behind(text(begin), call)] for begin, call in self._bare(form, tools, among)]
            return {"type": "dispatch", "rules": rules, "loop": False}
        first = self._first(form)
        assert first is not None, "write asks"
        # Those of a section follow each other in it; others have a mark each.
        rest = _behind(first, self._calls(form, tools, among, alone=not form.section[0]))
        if first["type"] == "token":
            return {"type": "token_dispatch", "rules": [[first["token"], rest]], "loop": among.parallel}
        return {"type": "dispatch", "rules": [[first["value"], rest]], "loop": among.parallel}

    def _first(self, form: Calls) -> Form | None:
        """Return the beginning by which a call can be told from text; None: there is none."""
        before = form.head.before if isinstance(form.head, Named) else ""
        begin = form.section[0] or form.call[0] or before
        return None if NAME in begin else next(self._marks(begin.strip()), None)

    def _bare(self, form: Calls, tools: Sequence[Tool], among: ToolSet) -> Iterator[tuple[str, Form]]:
        """Yield the beginning of a call without marks, up to the name, and the whole call."""
        for tool in tools:
            begin = "[" if form.bracket else ""
            if isinstance(form.head, Named):
                begin += tool.shown_as
            elif isinstance(form.head, Member):
                begin += f'{{"{form.head.name[0]}": {json.dumps(tool.shown_as)}'
            yield begin, self._calls(form, [tool], among, alone=True)

    def _calls(self, form: Calls, tools: Sequence[Tool], among: ToolSet, *, alone: bool = False) -> Form:
        """Return the form of calls of these tools, or of one call. `among`: the request's tools, and whether it allows
        several calls. `alone`: one in each.
        """
        each = choice([self._call(form, tool, is_held=among.holds(tool)) for tool in tools])
        if among.parallel and form.several and not alone:
            each = sequence(each, {"type": "star", "content": sequence(self._mark(form.separator), each)})
        opened, closed = form.brackets if form.bracket else ("", "")
        around = ("", "") if form.bare else form.section
        if opened and around[0]:  # tokenizers of some models put a space between
            return sequence(
                self._mark(around[0]), optional(text(" ")), text(opened), each, self._mark(closed + around[1])
            )
        return sequence(self._mark(around[0] + opened), each, self._mark(closed + around[1]))

    def _call(self, form: Calls, tool: Tool, *, is_held: bool) -> Form:
        begin = form.call[0].replace(NAME, tool.shown_as)
        arguments = self._arguments(form, tool, is_held=is_held)
        match form.head:
            case Named(before=before, after=after, form=written):
                name, _, index = written.replace(NAME, tool.shown_as).partition("{index}")
                number = [_NUMBER] if "{index}" in written else []
                behind, counted, more = after[0].partition(NUMBER)
                number += [self._mark(index + behind), *([_NUMBER, self._mark(more)] if counted else ())]
                head = sequence(self._mark(begin + before + name), *number)
                end = ""
            case Member(name=names, arguments=members, number=counter):
                said = f'"{names[0]}": {json.dumps(tool.shown_as)}, "{members[0]}": '
                count = (text(f'"{counter}": "'), _NUMBER, text('", ')) if counter else ()
                head, end = sequence(self._mark(begin + "{"), *count, text(said)), "}"
            case Key():
                head, end = self._mark(f"{begin}{{{json.dumps(tool.shown_as)}: "), "}"
        return sequence(head, arguments, self._mark(end + form.close + form.call[1]))

    def _arguments(self, form: Calls, tool: Tool, *, is_held: bool) -> Form:
        values = Values(tool.parameters, tool.path)
        match form.arguments:
            case Json() if tool.grammar is not None:
                return structural_tags.input_by_grammar(tool.grammar.syntax, tool.grammar.definition, tool.path)
            case Json():
                return values.whole() if is_held else structural_tags.by_json({"type": "object"}, None)
            case Tags() as tags:
                return self._tags(tags, tool, values, is_held=is_held)
            case Elements() as elements:
                return self._elements(elements, tool, values, is_held=is_held)
            case Literals() as literals:
                return self._literals(literals, tool, values, is_held=is_held)

    def _tags(self, tags: Tags, tool: Tool, values: Values, *, is_held: bool) -> Form:
        anything = self._anything_but(tags.end)
        if tool.grammar is not None:
            return self._tag(tags, "input", _grammar(tool, in_json=False), said=True)
        if not is_held:
            key: Form = {"type": "regex", "pattern": r'[^<>"\n]{1,64}'}
            middle = choice([self._mark(one + tags.pad) for one in tags.written(text=None)])
            tag = sequence(self._mark(tags.begin), key, middle, anything, self._mark(tags.pad + tags.end + tags.after))
            return {"type": "star", "content": tag}
        each = []
        for name, schema, required in values.properties():
            value, is_text = values.raw(schema, anything)
            tag = self._tag(tags, name, value, said=is_text)
            each.append(tag if required else optional(tag))
        return sequence(*each)

    def _tag(self, tags: Tags, key: str, value: Form, *, said: bool | None) -> Form:
        """Return the form of an argument's tag. `said`: the value is a text, or JSON; None: it may be either."""
        middles = tags.written(text=said) or tags.written(text=None)
        begin = choice([self._mark(tags.begin + key + middle + tags.pad) for middle in middles])
        return sequence(begin, value, self._mark(tags.pad + tags.end + tags.after))

    def _elements(self, how: Elements, tool: Tool, values: Values, *, is_held: bool) -> Form:
        anything = self._anything_but(how.before)
        if tool.grammar is not None:
            begin, end = (self._mark(f"{how.before}<{slash}input>") for slash in ("", "/"))
            return sequence(begin, _grammar(tool, in_json=False), end)
        if not is_held:
            tag: Form = {"type": "regex", "pattern": r"</?[^<>/\n]{1,64}>"}
            return {"type": "star", "content": sequence(self._mark(how.before), tag, anything)}
        each = []
        for name, schema, required in values.properties():
            one = values.element(name, schema, how, self._mark, anything)
            each.append(one if required else optional(one))
        return sequence(*each)

    def _literals(self, how: Literals, tool: Tool, values: Values, *, is_held: bool) -> Form:
        if tool.grammar is not None:
            quote = '"' if how.escapes else how.quotes[0]  # the grammar escapes no other
            given = _grammar(tool, in_json=how.escapes)
            pair = sequence(self._mark(f"input{how.assign}{quote}"), given, self._mark(quote))
            return sequence(text(how.begin), pair, text(how.end))
        if not is_held:
            return sequence(text(how.begin), values.free_literals(how, self._mark, self._anything_but), text(how.end))
        pairs = (
            (sequence(text(name + how.assign), values.literal(schema, how, self._mark, self._anything_but)), required)
            for name, schema, required in values.properties()
        )
        return sequence(text(how.begin), values.listed(pairs, text(how.between)), text(how.end))


def _grammar(tool: Tool, *, in_json: bool) -> Form:
    """Return the grammar that a custom tool's input must match."""
    assert tool.grammar is not None
    return structural_tags.by_grammar(tool.grammar.syntax, tool.grammar.definition, tool.path, in_json=in_json)


def _behind(first: Form, form: Form) -> Form:
    """Return the rest of a form that begins like this."""
    if form["type"] == "or":
        return choice([_behind(first, one) for one in form["elements"]])
    begins, *rest = form["elements"] if form["type"] == "sequence" else [form]
    if begins["type"] == "or":
        return sequence(_behind(first, begins), *rest)
    if first["type"] == "token":
        assert begins == first
        return sequence(*rest)
    value: str = begins["value"].lstrip()
    assert value.startswith(first["value"])
    return sequence(text(value.removeprefix(first["value"])), *rest)
