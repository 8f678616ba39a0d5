"""docs/protocol.md has a section for every event, with its members as the wire types have them, and every error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from realtime.context.client_tools import CLIENT_TOOLS
from realtime.context.tool_definitions import HIDDEN
from realtime.wire import events, requests
from realtime.wire.bounds import Bound
from realtime.wire.errors import ErrorCode
from realtime.wire.items import ITEM_TYPES
from realtime.wire.limits import DEFAULT
from realtime.wire.response import Response, Usage

from .wire_tables import members

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "protocol.md").read_text()
SECTIONS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|^\[1\]: |\Z)", TEXT, re.MULTILINE | re.DOTALL))
NUMBERS = set(re.findall(r"^#{2,3} (\d+(?:\.\d+)?)\b", TEXT, re.MULTILINE))
SIGNPOSTS = [
    path
    for folder in ("realtime", "tests", "clients", "docs", "bench", "examples")
    for kind in ("*.py", "*.md", "*.go", "*.mjs")
    for path in (ROOT / folder).rglob(kind)
    if not {"node_modules", ".venv"} & set(path.parts)
]


def events_of(base: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for kind in base.__subclasses__():
        if not kind.__subclasses__() and kind is not events.StreamError:  # the `error` of streams, see below
            yield kind
        yield from events_of(kind)


EVENTS = {kind.__struct_config__.tag: kind for base in (events.Event, requests.ClientEvent) for kind in events_of(base)}
CODES = {one.value.code for one in ErrorCode}


def section(name: str) -> str:
    """Return the text under the heading that names this event, or begins with this number."""
    found = [
        body for heading, body in SECTIONS.items() if heading.split()[0] == name or heading.split()[1] == f"`{name}`"
    ]
    assert len(found) == 1, f"{name} has {len(found)} sections"
    return str(found[0])


def rows(text: str) -> list[str]:
    """Return a table of members without what each means, which is for people."""
    return [
        " |".join(line.split(" |")[:3]) + " |" for line in text.splitlines() if re.match(r"\| `[^`]+` \| .+ \|", line)
    ]


def table_of_members(text: str) -> list[str]:
    _, _, after = text.partition("| member | type | there | meaning |\n|---|---|---|---|\n")
    return rows(after.partition("\n\n")[0])


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_has_a_section_with_its_members_and_nothing_else(name: str) -> None:
    assert table_of_members(section(name)) == members(EVENTS[name])


def test_every_section_named_after_an_event_is_of_one_that_exists() -> None:
    named = {name for heading in SECTIONS for name in re.findall(r"`((?:response|session)\.[a-z_.]+|error)`", heading)}
    assert named == set(EVENTS)


def test_the_error_of_a_stream_has_its_members_too() -> None:
    table = TEXT.split("<!-- stream error -->")[1].split("<!-- /stream error -->")[0]
    assert rows(table) == members(events.StreamError)


def test_the_response_and_its_usage_have_their_members() -> None:
    assert table_of_members(section("10.1")) == members(Response)
    assert table_of_members(section("10.2")) == members(Usage)


def test_the_envelope_has_its_members() -> None:
    assert [row.split("`")[1] for row in table_of_members(section("2.1"))] == list(events.Event.__struct_fields__)


def test_the_errors_of_an_event_are_in_the_registry() -> None:
    told = re.findall(r"^Errors(?: before `response.created`)?: (.*?)\n\n", TEXT, re.MULTILINE | re.DOTALL)
    assert len(told) >= 7
    assert {code for line in told for code in re.findall(r"`(\w+)`", line)} <= CODES


def test_the_table_of_errors_is_the_registry() -> None:
    table = TEXT.split("<!-- errors -->")[1].split("<!-- /errors -->")[0].strip().splitlines()[2:]
    assert table == [
        f"| `{e.value.code}` | {e.value.status} | {e.value.fault.value} | {'yes' if e.value.retry else 'no'} |"
        for e in ErrorCode
    ]


def test_every_item_has_a_row() -> None:
    table = section("3.8")
    assert [kind for kind in [*ITEM_TYPES, "program", "program_output"] if f"`{kind}`" not in table] == []


def test_every_tool_has_a_row() -> None:
    table = section("3.6")
    dated = {kind for kind in HIDDEN if kind[-1].isdigit()}  # `web_search_2025_08_26`
    assert [kind for kind in {*HIDDEN, *CLIENT_TOOLS} - dated if f"`{kind}`" not in table] == []


def test_the_bounds_are_those_of_the_code() -> None:
    table = TEXT.split("<!-- bounds -->")[1].split("<!-- /bounds -->")[0].strip().splitlines()[2:]
    assert table == [f"| {bound.value.what} | {bound.limit(DEFAULT):,} | `{bound.value.setting}` |" for bound in Bound]


def slug(heading: str) -> str:
    """Return the anchor that a heading gets where Markdown is shown."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_contents_and_the_links_lead_to_every_section_in_its_order() -> None:
    headings = re.findall(r"^#{2,3} ((?:\d|Term).*)$", TEXT, re.MULTILINE)
    contents = TEXT.split("## Contents")[1].split("\n## ")[0]
    assert re.findall(r"\(#([^)]+)\)", contents) == [slug(heading) for heading in headings]
    links = dict(re.findall(r"^\[([0-9.]+)\]: #(\S+)$", TEXT, re.MULTILINE))
    assert links == {heading.split()[0].rstrip("."): slug(heading) for heading in headings if heading[0].isdigit()}
    assert set(re.findall(r"(?<!\w)\[(\d+(?:\.\d+)?)\](?!:)", TEXT)) <= set(links)


def test_whoever_points_to_a_section_points_to_one_that_exists() -> None:
    pointed = {
        number
        for path in SIGNPOSTS
        for number in re.findall(r"protocol\.md(?:\)|`)?,? (?:section )?(\d+\.\d+)", path.read_text(errors="replace"))
    }
    assert len(pointed) > 8
    assert pointed <= NUMBERS
