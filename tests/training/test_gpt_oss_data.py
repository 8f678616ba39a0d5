"""The dialogues for the tiny gpt-oss are what a server renders, and parse as what they are meant to be."""

from __future__ import annotations

import json
import random
from array import array
from itertools import islice
from pathlib import Path

import pytest
from openai_harmony import Conversation, Message, RenderConversationConfig, Role, StreamableParser, SystemContent

from tests.support.gpt_oss import SMALL
from tests.support.harmony import text_in
from training.gpt_oss import data


@pytest.mark.parametrize("skill", data.SKILLS)
def test_what_the_model_reads_is_what_openai_harmony_renders(skill: str) -> None:
    """Conversations without a developer message, for `DeveloperContent` goes the same way anyhow."""
    rng = random.Random(skill)
    for _ in range(20):
        turn = data.SKILLS[skill][0](rng, data.Setting(None, "Medium", None, ()))
        lines = [line for line in turn.lines() if not line.aloud]
        system = Message.from_role_and_content(Role.SYSTEM, SystemContent.new())
        conversation = Conversation.from_messages([system, *(line.message() for line in lines)])
        rendered = data.ENCODING.render_conversation_for_completion(
            conversation, Role.ASSISTANT, config=RenderConversationConfig(auto_drop_analysis=False)
        )
        dialogue = data.Dialogue(skill, data.Setting(None, "Medium", None, ()), tuple(lines), (), ())
        ours = data.setting_ids(dialogue.setting) + sum((data.line_ids(line) for line in lines), ())
        assert [*ours, *data.ENCODING.encode("<|start|>assistant", allowed_special="all")] == rendered


@pytest.mark.parametrize("skill", data.SKILLS)
def test_what_the_model_writes_parses_to_the_messages_meant(skill: str) -> None:
    rng = random.Random(skill)
    for _ in range(20):
        for written in data.write(rng, skill).rounds:
            parser = StreamableParser(data.ENCODING, Role.ASSISTANT)
            for token in data.written_ids(written):
                parser.process(token)
            parsed = [(m.channel, m.recipient, m.content_type, text_in(m)) for m in parser.messages]
            meant = [
                (line.channel, line.recipient, "code" if line.aloud else line.content_type, line.text)
                for line in written
            ]
            assert parsed == meant


def test_reading_and_writing_take_turns() -> None:
    rng = random.Random(0)
    for dialogue in (data.write(rng, skill) for skill in data.SKILLS for _ in range(10)):
        pieces = data.segments(dialogue)
        assert [piece.learned for piece in pieces] == [False, True] * len(dialogue.rounds)
        assert all(piece.ids[-1] in (data.CALL, data.RETURN) for piece in pieces if piece.learned)


def stored_ids(file: Path) -> array[int]:
    """The tensor `used_ids` of a safetensors file: a length, a header in JSON, the data."""
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    first, last = json.loads(content[8:start])["used_ids"]["data_offsets"]
    return array("i", content[start + first : start + last])


def test_every_token_is_in_the_vocabulary_of_the_weights() -> None:
    """Else the data has changed since the model was trained."""
    used = set(stored_ids(SMALL / "weights.safetensors")) | data.unknown_ids()
    rng = random.Random(4)
    for dialogue in (data.write(rng, skill) for skill in data.SKILLS for _ in range(20)):
        assert {token for piece in data.segments(dialogue) for token in piece.ids} <= used


def test_the_thoughts_before_the_last_answer_are_dropped() -> None:
    lines = [data.thought("a"), data.final("b"), data.thought("c"), data.call("f", x=1), data.thought("d")]
    assert data.drop_thoughts(lines) == lines[1:]
    assert data.drop_thoughts(lines[2:]) == lines[2:]


def test_the_same_seed_makes_the_same_dialogues() -> None:
    assert list(islice(data.dialogues(3), 50)) == list(islice(data.dialogues(3), 50))
