"""Families whose output is known from public parsers and examples, but whose templates were not seen. Pure."""

from __future__ import annotations

from . import forms
from .families import CODER, THINK, THINK_TIGHT
from .family import Family, Thinking

_PLAMO_THINK = Thinking(forms.PLAMO.format("begin_think"), forms.PLAMO.format("end_think"))

_ROWS = (
    Family(name="deepseek_v41", thinking=(THINK_TIGHT,), calls=(forms.dsml(" ", "calls"),), seen=False),
    Family(
        name="ernie45",
        thinking=(Thinking("<think>\n", "\n</think>\n\n", ("<response>\n", "\n</response>\n")),),
        calls=(forms.HERMES,),
        seen=False,
    ),
    Family(name="step3", thinking=(Thinking("<think>\n", "</think>"),), calls=(forms.STEP3,), seen=False),
    Family(
        name="longcat",
        thinking=(Thinking("<longcat_think>\n", "\n</longcat_think>\n"), THINK),
        calls=(forms.LONGCAT, forms.LONGCAT_TAGS),
        seen=False,
    ),
    Family(name="mimo", thinking=(THINK,), calls=(forms.MIMO,), seen=False),
    Family(name="dots", thinking=(THINK,), calls=(forms.DOTS,), seen=False),
    Family(name="plamo3", thinking=(_PLAMO_THINK,), calls=(forms.PLAMO3,), seen=False),
    Family(
        name="k2_horizon",
        thinking=tuple(Thinking(f"<ifm|{kind}>", f"</ifm|{kind}>") for kind in ("think", "think_fast", "think_faster")),
        calls=forms.K2_HORIZON,
        seen=False,
    ),
    Family(name="hy_v4", thinking=(THINK_TIGHT,), calls=(forms.HY_V4, forms.HY_V3), seen=False),
    Family(
        name="inkling",
        thinking=(
            Thinking(
                "<|message_model|><|content_thinking|>",
                "<|end_message|>",
                ("<|message_model|><|content_text|>", "<|end_message|>"),
            ),
        ),
        calls=(forms.INKLING,),
        seen=False,
    ),
    Family(name="minicpmv", thinking=(THINK,), calls=CODER, seen=False),
    Family(name="jamba", calls=(forms.HUNYUAN,), seen=False),
)

MORE_FAMILIES = {row.name: row for row in _ROWS}
