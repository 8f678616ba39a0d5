"""Families whose output is known from public parsers and examples, but whose templates were not seen. Pure."""

# ruff: noqa: RUF001 (the bars of DeepSeek's marks)
from __future__ import annotations

import msgspec

from .families import GLM47, GRANITE3, HERMES, HUNYUAN, INVOKE, PYTHON, PYTHONIC, QWEN3_CODER, THINK, THINK_TIGHT
from .family import Calls, Family, Key, Member, Named, Tags, Thinking


def _dsml(space: str, section: str) -> Calls:
    """DeepSeek from V3.2 on: tags that say whether a value is text."""
    bar = "｜DSML｜"
    return Calls(
        head=Named(before=f'<{bar}{space}invoke name="', after=('">\n',)),
        arguments=Tags(
            begin=f'<{bar}{space}parameter name="',
            middle='">',
            end=f"</{bar}{space}parameter>",
            after="\n",
            text=('" string="true">',),
            json=('" string="false">',),
        ),
        section=(f"<{bar}{space}{section}>\n", f"\n</{bar}{space}{section}>"),
        close=f"</{bar}{space}invoke>",
        separator="\n",
    )


_PLAMO = "<|plamo:{}:plamo|>"
_KIMI_K3 = Calls(
    head=Named(before='<|open|>call tool="', after=('"<|sep|>',), call_id='" index="'),
    arguments=Tags(
        begin='<|open|>argument key="',
        middle='"<|sep|>',
        end="<|close|>argument<|sep|>",
        text=('" type="string"<|sep|>',),
        json=tuple(f'" type="{kind}"<|sep|>' for kind in ("number", "boolean", "null", "object", "array", "integer")),
    ),
    section=("<|open|>tools<|sep|>", "<|close|>tools<|sep|>"),
    close="<|close|>call<|sep|>",
)
_MIMO = Calls(
    head=Named(before="<function=", after=(">",)),
    arguments=Tags(begin="<parameter=", middle=">", end="</parameter>"),
    call=("<tool_call>", "</tool_call>"),
    close="</function>",
)
_DOTS = Calls(
    head=Named(before='<invoke name="', after=('">\n',)),
    arguments=INVOKE,
    section=("<dots_function_call>\n", "\n</dots_function_call>"),
    close="</invoke>",
    separator="\n",
)
_MINICPM5 = Calls(
    head=Named(before='<function name="', after=('">',)),
    arguments=Tags(begin='<param name="', middle='">', end="</param>"),
    close="</function>",
    separator="\n",
)
_COHERE = Calls(
    head=Member(name=("tool_name", "name"), arguments=("parameters", "arguments")),
    section=("<|START_ACTION|>", "<|END_ACTION|>"),
    separator=", ",
    bracket=True,
)
_PLAMO3 = Calls(
    head=Named(
        before=_PLAMO.format("begin_tool_name"),
        after=(_PLAMO.format("end_tool_name") + _PLAMO.format("begin_tool_arguments")
               + "<|plamo:constrain|>json<|plamo:msg|>",),
    ),
    section=(_PLAMO.format("begin_tool_requests"), _PLAMO.format("end_tool_requests")),
    call=(_PLAMO.format("begin_tool_request"), _PLAMO.format("end_tool_request")),
    close=_PLAMO.format("end_tool_arguments"),
)  # fmt: skip
_K2_HORIZON = (
    Calls(
        head=Member(),
        section=("<ifm|tool_calls>", "</ifm|tool_calls>"),
        call=("<ifm|tool_call>", "</ifm|tool_call>"),
    ),
    Calls(
        head=Named(),
        arguments=Tags(
            begin="<ifm|arg_key>", middle="</ifm|arg_key><ifm|arg_value>", end="</ifm|arg_value>",
        ),
        section=("<ifm|tool_calls>", "</ifm|tool_calls>"),
        call=("<ifm|tool_call>", "</ifm|tool_call>"),
    ),
)  # fmt: skip
_LFM2 = Calls(
    head=Named(),
    arguments=PYTHON,
    section=("<|tool_call_start|>", "<|tool_call_end|>"),
    separator=", ",
    bracket=True,
)
_GIGACHAT3 = (
    Calls(head=Member(), section=("<|function_call|>", ""), several=False),
    Calls(head=Member(), section=("function call<|role_sep|>\n", ""), several=False),
)
_HY_V4 = Calls(
    head=GLM47.head,
    arguments=GLM47.arguments,
    section=("<tool_calls>\n", "\n</tool_calls>"),
    call=("<tool_call>", "</tool_call>"),
    separator="\n",
)
_HY_V3 = msgspec.structs.replace(_HY_V4, head=Named(after=("<tool_sep>",)))
_INKLING = Calls(
    head=Member(arguments=("args", "arguments")),
    call=("<|message_model|><|content_invoke_tool_json|>", "<|end_message|>"),
)

_ROWS = (
    Family(name="deepseek_v32", thinking=(THINK_TIGHT,), calls=(_dsml("", "function_calls"),), seen=False),
    Family(name="deepseek_v4", thinking=(THINK_TIGHT,), calls=(_dsml("", "tool_calls"),), seen=False),
    Family(name="deepseek_v41", thinking=(THINK_TIGHT,), calls=(_dsml(" ", "calls"),), seen=False),
    Family(
        name="kimi_k3", thinking=(Thinking("<|open|>think<|sep|>", "<|close|>think<|sep|>",
                                           ("<|open|>response<|sep|>", "<|close|>response<|sep|>")),),
        calls=(_KIMI_K3,), seen=False,
    ),
    Family(name="mimo", thinking=(THINK,), calls=(_MIMO,), seen=False),
    Family(name="step3p5", thinking=(THINK,), calls=(QWEN3_CODER,), seen=False),
    Family(name="ling3", thinking=(THINK_TIGHT,), calls=(GLM47,), seen=False),
    Family(name="poolside", thinking=(THINK_TIGHT,), calls=(GLM47,), seen=False),
    Family(name="dots", thinking=(THINK,), calls=(_DOTS,), seen=False),
    Family(name="minicpm5", thinking=(THINK,), calls=(_MINICPM5,), seen=False),
    Family(
        name="cohere",
        thinking=(Thinking("<|START_THINKING|>", "<|END_THINKING|>", ("<|START_RESPONSE|>", "<|END_RESPONSE|>")),),
        calls=(_COHERE,), seen=False,
    ),
    Family(
        name="plamo3", thinking=(Thinking(_PLAMO.format("begin_think"), _PLAMO.format("end_think")),),
        calls=(_PLAMO3,), seen=False,
    ),
    Family(
        name="k2_horizon",
        thinking=tuple(Thinking(f"<ifm|{kind}>", f"</ifm|{kind}>") for kind in ("think", "think_fast", "think_faster")),
        calls=_K2_HORIZON[::-1], seen=False,
    ),
    Family(name="lfm2", thinking=(THINK,), calls=(_LFM2,), seen=False),
    Family(name="gigachat3", calls=_GIGACHAT3, seen=False),
    Family(name="hy_v3", thinking=(THINK_TIGHT,), calls=(_HY_V3, _HY_V4), seen=False),
    Family(name="hy_v4", thinking=(THINK_TIGHT,), calls=(_HY_V4, _HY_V3), seen=False),
    Family(
        name="inkling",
        thinking=(
            Thinking(
                "<|message_model|><|content_thinking|>",
                "<|end_message|>",
                ("<|message_model|><|content_text|>", "<|end_message|>"),
            ),
        ),
        calls=(_INKLING,),
        seen=False,
    ),
    Family(name="minicpmv", thinking=(THINK,), calls=(QWEN3_CODER,), seen=False),
    Family(
        name="internlm2",
        calls=(Calls(head=Member(arguments=("parameters", "arguments")),
                     call=("<|action_start|><|plugin|>\n", "<|action_end|>"), several=False),),
        seen=False,
    ),
    Family(name="jamba", calls=(HUNYUAN,), seen=False),
    Family(
        name="apertus",
        calls=(Calls(head=Key(), section=("<|tools_prefix|>", "<|tools_suffix|>"), separator=", ", bracket=True),),
        seen=False,
    ),
    Family(
        name="granite_20b_fc", calls=(Calls(head=Member(), call=("<function_call> ", ""), separator="\n"),), seen=False
    ),
    Family(
        name="xlam",
        calls=(
            Calls(head=Member(), separator=", ", bracket=True, bare=True),
            Calls(head=Member(), section=("```json\n", "\n```"), separator=", ", bracket=True),
            GRANITE3, HERMES,
        ),
        seen=False,
    ),
    Family(name="pythonic", calls=(PYTHONIC,), seen=False),
)  # fmt: skip

MORE_FAMILIES = {row.name: row for row in _ROWS}
