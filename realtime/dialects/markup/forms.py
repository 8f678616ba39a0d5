"""The forms of families' calls, each form once. Pure."""

# ruff: noqa: RUF001 (the bars of DeepSeek's marks)
from __future__ import annotations

import msgspec

from .family import Calls, Elements, Json, Key, Literals, Member, Named, Tags

PYTHON = Literals()

HERMES = Calls(head=Member(), call=("<tool_call>\n", "\n</tool_call>"), separator="\n")
QWEN3_CODER = Calls(
    head=Named(before="<function=", after=(">\n",)),
    arguments=Tags(begin="<parameter=", middle=">", end="</parameter>", pad="\n", after="\n"),
    call=("<tool_call>\n", "\n</tool_call>"),
    close="</function>",
    separator="\n",
)
SEED = Calls(
    head=Named(before="<function=", after=(">\n",)),
    arguments=Tags(begin="<parameter=", middle=">", end="</parameter>", after="\n"),
    call=("<seed:tool_call>\n", "\n</seed:tool_call>"),
    close="</function>",
    separator="\n",
)
LLAMA_JSON = Member(arguments=("parameters", "arguments"))
LLAMA3 = (
    Calls(head=LLAMA_JSON, section=("<|python_tag|>", ""), separator="; ", bare=True),
    Calls(head=Named(form="{name}.call"), arguments=PYTHON, section=("<|python_tag|>", ""), several=False),
)
LLAMA4_PYTHONIC = Calls(
    head=Named(),
    arguments=PYTHON,
    section=("<|python_start|>", "<|python_end|>"),
    separator=", ",
    bracket=True,
    bare=True,
)
LLAMA4_JSON = Calls(head=LLAMA_JSON, section=("<|python_start|>", "<|python_end|>"), separator="; ", bare=True)
MISTRAL_LIST = Calls(head=Member(), section=("[TOOL_CALLS]", ""), separator=", ", bracket=True)
MISTRAL = Calls(head=Named(after=("[ARGS]", ""), call_id="[CALL_ID]"), call=("[TOOL_CALLS]", ""))
DEEPSEEK = ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>")
DEEPSEEK_V3 = Calls(
    head=Named(before="function<｜tool▁sep｜>", after=("\n```json\n",)),
    section=DEEPSEEK,
    call=("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"),
    close="\n```",
    separator="\n",
)
DEEPSEEK_V31 = Calls(
    head=Named(after=("<｜tool▁sep｜>",)), section=DEEPSEEK, call=("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>")
)
GLM45 = Calls(
    head=Named(after=("\n",)),
    arguments=Tags(begin="<arg_key>", middle="</arg_key>\n<arg_value>", end="</arg_value>", after="\n"),
    call=("<tool_call>", "</tool_call>"),
    separator="\n",
)
GLM47 = Calls(
    head=Named(),
    arguments=Tags(begin="<arg_key>", middle="</arg_key><arg_value>", end="</arg_value>"),
    call=("<tool_call>", "</tool_call>"),
)
KIMI_K2 = Calls(
    head=Named(form="functions.{name}:{index}", after=("<|tool_call_argument_begin|>",)),
    section=("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    call=("<|tool_call_begin|>", "<|tool_call_end|>"),
)
GRANITE3 = Calls(head=Member(), section=("<|tool_call|>", ""), separator=", ", bracket=True)
GRANITE31 = Calls(head=Member(), section=("<tool_call>", ""), separator=", ", bracket=True)
INVOKE = Tags(begin='<parameter name="', middle='">', end="</parameter>", after="\n")
MINIMAX_M2 = Calls(
    head=Named(before='<invoke name="', after=('">\n',)),
    arguments=INVOKE,
    section=("<minimax:tool_call>\n", "\n</minimax:tool_call>"),
    close="</invoke>",
    separator="\n",
)
HUNYUAN = Calls(head=Member(), section=("<tool_calls>", "</tool_calls>"), separator=", ", bracket=True)
STEP3 = Calls(
    head=Named(before='function<｜tool_sep｜><steptml:invoke name="', after=('">',)),
    arguments=Tags(begin='<steptml:parameter name="', middle='">', end="</steptml:parameter>"),
    section=("<｜tool_calls_begin｜>\n", "\n<｜tool_calls_end｜>"),
    call=("<｜tool_call_begin｜>", "<｜tool_call_end｜>"),
    close="</steptml:invoke>",
    separator="\n",
)
OLMO3 = Calls(
    head=Named(),
    arguments=Literals(quotes=("'", '"'), words=("true", "false", "null"), nested="json"),
    section=("<function_calls>\n", "\n</function_calls>"),
    separator="\n",
)
TOOLCALL = Calls(head=Member(), section=("<TOOLCALL>", "</TOOLCALL>"), separator=", ", bracket=True)
GEMMA4 = Calls(
    head=Named(before="call:"),
    arguments=Literals(
        begin="{", end="}", assign=":", quotes=('<|"|>',), escapes=False, bare=True, between=",",
        words=("true", "false", "null"),
    ),
    call=("<|tool_call>", "<tool_call|>"),
)  # fmt: skip
FUNCTION_GEMMA = Calls(
    head=Named(before="call:"),
    arguments=Literals(
        begin="{", end="}", assign=":", quotes=("<escape>",), escapes=False, bare=True, typed=True, between=",",
        words=("true", "false", "null"),
    ),
    call=("<start_function_call>", "<end_function_call>"),
)  # fmt: skip
PYTHONIC = Calls(head=Named(), arguments=PYTHON, separator=", ", bracket=True, bare=True)
TOOL_CODE = Calls(head=Named(), arguments=PYTHON, section=("```tool_code\n", "\n```"), separator="\n")
PHI4_ONE = Calls(head=Member(), call=("<|tool_call|>", "<|/tool_call|>"))
PHI4 = Calls(head=Member(), section=("<|tool_call|>", "<|/tool_call|>"), separator=", ", bracket=True)
FUNCTOOLS = Calls(head=Member(), section=("functools", ""), separator=", ", bracket=True)
LONGCAT = Calls(head=Member(), call=("<longcat_tool_call>\n", "\n</longcat_tool_call>"), separator="\n")
LONGCAT_TAGS = Calls(
    head=Named(after=("\n",)),
    arguments=Tags(
        begin="<longcat_arg_key>", middle="</longcat_arg_key>\n<longcat_arg_value>", end="</longcat_arg_value>",
        after="\n",
    ),
    call=("<longcat_tool_call>", "</longcat_tool_call>"),
    separator="\n",
)  # fmt: skip
PLAMO = "<|plamo:{}:plamo|>"


def dsml(space: str, section: str) -> Calls:
    """Return the form of DeepSeek from V3.2 on: tags that say whether a value is text."""
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


KIMI_K3 = Calls(
    head=Named(before='<|open|>call tool="', after=('" index="{number}"<|sep|>', '"<|sep|>')),
    arguments=Tags(
        begin='<|open|>argument key="',
        middle="",
        end="<|close|>argument<|sep|>",
        typed='" type="{type}"<|sep|>',
    ),
    section=("<|open|>tools<|sep|>", "<|close|>tools<|sep|>"),
    close="<|close|>call<|sep|>",
)
MIMO = Calls(
    head=Named(before="<function=", after=(">",)),
    arguments=Tags(begin="<parameter=", middle=">", end="</parameter>"),
    call=("<tool_call>", "</tool_call>"),
    close="</function>",
)
DOTS = Calls(
    head=Named(before='<invoke name="', after=('">\n',)),
    arguments=INVOKE,
    section=("<dots_function_call>\n", "\n</dots_function_call>"),
    close="</invoke>",
    separator="\n",
)
MINICPM5 = Calls(
    head=Named(before='<function name="', after=('">',)),
    arguments=Tags(begin='<param name="', middle='">', end="</param>", quote=("<![CDATA[", "]]>")),
    close="</function>",
    separator="\n",
)
COHERE = Calls(
    head=Member(name=("tool_name", "name"), arguments=("parameters", "arguments"), number="tool_call_id"),
    section=("<|START_ACTION|>", "<|END_ACTION|>"),
    separator=",\n    ",
    bracket=True,
    brackets=("[\n    ", "\n]"),
)
PLAMO3 = Calls(
    head=Named(
        before=PLAMO.format("begin_tool_name"),
        after=(PLAMO.format("end_tool_name") + PLAMO.format("begin_tool_arguments")
               + "<|plamo:constrain|>json<|plamo:msg|>",),
    ),
    section=(PLAMO.format("begin_tool_requests"), PLAMO.format("end_tool_requests")),
    call=(PLAMO.format("begin_tool_request"), PLAMO.format("end_tool_request")),
    close=PLAMO.format("end_tool_arguments"),
)  # fmt: skip


def _ifm(head: Named | Member, arguments: Tags | Json = Json()) -> Calls:  # noqa: B008 (frozen)
    return Calls(
        head=head,
        arguments=arguments,
        section=("<ifm|tool_calls>\n", "\n</ifm|tool_calls>"),
        call=("<ifm|tool_call>", "</ifm|tool_call>"),
        separator="\n",
    )


K2_HORIZON = (
    _ifm(
        Named(after=("\n",)),
        Tags(
            begin="<ifm|arg_key>",
            middle="</ifm|arg_key>\n<ifm|arg_value>",
            end="</ifm|arg_value>",
            after="\n",
            typed="</ifm|arg_key>\n<ifm|arg_type>{type}</ifm|arg_type>\n<ifm|arg_value>",
        ),
    ),
    _ifm(Member()),
)
LFM2 = Calls(
    head=Named(),
    arguments=Literals(quotes=("'", '"'), nested="json"),
    section=("<|tool_call_start|>", "<|tool_call_end|>"),
    separator=", ",
    bracket=True,
)
GIGACHAT3 = (
    Calls(head=Member(), section=("<|message_sep|>\n\nfunction call<|role_sep|>\n", ""), several=False),
    Calls(head=Member(), section=("<|function_call|>", ""), several=False),
    Calls(head=Member(), section=("function call<|role_sep|>\n", ""), several=False),
)
HY_V3 = Calls(
    head=Named(after=("<tool_sep>\n",)),
    arguments=Tags(begin="<arg_key>", middle="</arg_key>\n<arg_value>", end="</arg_value>", after="\n"),
    section=("<tool_calls>\n", "\n</tool_calls>"),
    call=("<tool_call>", "</tool_call>"),
    separator="\n",
)
HY_V4 = msgspec.structs.replace(HY_V3, head=GLM47.head, arguments=GLM47.arguments)
INKLING = Calls(
    head=Member(arguments=("args", "arguments")),
    call=("<|message_model|><|content_invoke_tool_json|>", "<|end_message|>"),
)
MUSE_GLIMMER = Calls(
    head=Named(before='<atem:invoke name="', after=('">\n',)),
    arguments=Tags(begin='<atem:parameter name="', middle='">', end="</atem:parameter>", after="\n"),
    call=(" to={name}<|message|><atem:function_calls>\n", "\n</atem:function_calls>"),
    close="</atem:invoke>",
    separator="<|eom|><|start|>assistant",
)
MINIMAX = "]<]minimax[>["
MINIMAX_M3 = Calls(
    head=Named(before=f'{MINIMAX}<invoke name="', after=('">',)),
    arguments=Elements(before=MINIMAX),
    section=(f"{MINIMAX}<tool_call>\n", f"\n{MINIMAX}</tool_call>"),
    close=f"{MINIMAX}</invoke>",
    separator="\n",
)
MINIMAX_M1 = Calls(head=Member(), section=("<tool_calls>\n", "\n</tool_calls>"), separator="\n")
SOLAR = Calls(
    head=Named(after=("<|tool_call:args|>",)),
    section=("<|tool_calls|>", "<|calls|>"),
    call=("<|tool_call:begin|>{name}<|tool_call:name|>", "<|tool_call:end|>"),
)
FUNCTIONARY = Calls(head=Named(before="<function=", after=(">",)), close="</function>")
EXAONE4 = Calls(head=Member(), call=("<tool_call>", "</tool_call>"), separator="\n")
STEP3P5 = msgspec.structs.replace(QWEN3_CODER, separator="")
LING3 = Calls(
    head=Named(after=("\n",)),
    arguments=Tags(begin="<arg_key>", middle="</arg_key>\n<arg_value>", end="</arg_value>"),
    call=("<tool_call>", "\n</tool_call>"),
    separator="\n",
)
INTERNLM2 = Calls(
    head=Member(arguments=("arguments", "parameters")), call=("<|action_start|><|plugin|>\n", "<|action_end|>")
)
APERTUS = Calls(head=Key(), section=("<|tools_prefix|>", "<|tools_suffix|>"), separator=", ", bracket=True)
GRANITE_20B_FC = Calls(head=Member(), call=("<function_call> ", ""), separator="\n")
XLAM = (
    Calls(head=Member(), separator=", ", bracket=True, bare=True),
    Calls(head=Member(), section=("```json\n", "\n```"), separator=", ", bracket=True),
)
