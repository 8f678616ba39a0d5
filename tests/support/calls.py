"""A model whose calls a script tells, of the family in tagged.toml: `<tool_call>NAME ARGUMENTS</tool_call>`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TAGGED = str(Path(__file__).parent / "tagged.toml")


def called(name: str, arguments: Any) -> tuple[str, ...]:
    """The steps of a script in which the model makes this call."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return spoken_call(name, *(text[at : at + 5] for at in range(0, len(text), 5)))


def spoken_call(name: str, *arguments: str) -> tuple[str, ...]:
    """The same, with the arguments in these pieces."""
    return ("<tool_call>", f"{name} ", *arguments, "</tool_call>")
