"""The families whose templates were read: how each writes reasoning and calls. Pure."""

# ruff: noqa: RUF001 (the bars of DeepSeek's marks)
from __future__ import annotations

from .family import Calls, Family, Literals, Member, Named, Tags, Thinking

THINK = Thinking("<think>\n", "\n</think>\n\n")
THINK_TIGHT = Thinking("<think>", "</think>")
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
MISTRAL_LIST = Calls(head=Member(), section=("[TOOL_CALLS] ", ""), separator=", ", bracket=True)
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
    arguments=Literals(words=("true", "false", "null")),
    section=("<function_calls>", "</function_calls>"),
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
        begin="{", end="}", assign=":", quotes=("<escape>",), escapes=False, bare=True, between=",",
        words=("true", "false", "null"),
    ),
    call=("<start_function_call>", "<end_function_call>"),
)  # fmt: skip
PYTHONIC = Calls(head=Named(), arguments=PYTHON, separator=", ", bracket=True, bare=True)
TOOL_CODE = Calls(head=Named(), arguments=PYTHON, section=("```tool_code\n", "\n```"), separator="\n")
PHI4 = Calls(head=Member(), section=("<|tool_call|>", "<|/tool_call|>"), separator=", ", bracket=True)
FUNCTOOLS = Calls(head=Member(), section=("functools", ""), separator=", ", bracket=True)
LONGCAT = Calls(head=Member(), call=("<longcat_tool_call>\n", "\n</longcat_tool_call>"), separator="\n")

_ROWS = (
    Family(name="hermes", calls=(HERMES,)),
    Family(name="qwen3", thinking=(THINK,), calls=(HERMES, QWEN3_CODER)),
    Family(name="qwen3_coder", calls=(QWEN3_CODER, HERMES)),
    Family(name="qwen3_5", thinking=(THINK,), calls=(QWEN3_CODER, HERMES)),
    Family(name="llama3", calls=LLAMA3),
    Family(name="llama3_r1", thinking=(THINK,), calls=LLAMA3),
    Family(name="llama4", calls=(LLAMA4_PYTHONIC, LLAMA4_JSON)),
    Family(name="llama4_json", calls=(LLAMA4_JSON, LLAMA4_PYTHONIC)),
    Family(name="mistral", thinking=(Thinking("[THINK]", "[/THINK]"),), calls=(MISTRAL, MISTRAL_LIST)),
    Family(name="mistral_v3", thinking=(Thinking("[THINK]", "[/THINK]"),), calls=(MISTRAL_LIST, MISTRAL)),
    Family(name="deepseek_v3", thinking=(THINK,), calls=(DEEPSEEK_V3, DEEPSEEK_V31)),
    Family(name="deepseek_v31", thinking=(THINK_TIGHT,), calls=(DEEPSEEK_V31, DEEPSEEK_V3)),
    Family(name="glm45", thinking=(Thinking("\n<think>", "</think>\n"),), calls=(GLM45,)),
    Family(name="glm47", thinking=(THINK_TIGHT,), calls=(GLM47,)),
    Family(
        name="kimi_k2", thinking=(THINK_TIGHT, Thinking("◁think▷", "◁/think▷")), calls=(KIMI_K2,),
        ids="functions.{name}:{index}",
    ),
    Family(
        name="granite3",
        thinking=(
            Thinking("<think>", "</think>", ("<response>", "</response>")),
            Thinking("Here is my thought process:", "Here is my response:"),
            Thinking("Here's my thought process:", "Here's my response:"),
        ),
        calls=(GRANITE3, GRANITE31),
    ),
    Family(name="granite4", thinking=(THINK,), calls=(HERMES,)),
    Family(name="minimax_m2", thinking=(THINK,), calls=(MINIMAX_M2,)),
    Family(name="seed_oss", thinking=(Thinking("<seed:think>", "</seed:think>"),), calls=(SEED,)),
    Family(
        name="hunyuan",
        thinking=(Thinking("<think>\n", "\n</think>\n", ("<answer>\n", "\n</answer>")),),
        calls=(HUNYUAN,),
    ),
    Family(
        name="ernie45",
        thinking=(Thinking("<think>\n", "\n</think>\n\n", ("<response>\n", "\n</response>\n")),),
        calls=(HERMES,),
    ),
    Family(name="step3", thinking=(Thinking("<think>\n", "</think>"),), calls=(STEP3,)),
    Family(name="longcat", thinking=(Thinking("<longcat_think>\n", "\n</longcat_think>\n"), THINK), calls=(LONGCAT,)),
    Family(name="olmo3", thinking=(THINK_TIGHT,), calls=(OLMO3,)),
    Family(name="nemotron", thinking=(THINK,), calls=(TOOLCALL,)),
    Family(name="nemotron_v3", thinking=(THINK,), calls=(QWEN3_CODER,)),
    Family(name="gemma3", calls=(PYTHONIC, TOOL_CODE)),
    Family(name="gemma4", thinking=(Thinking("<|channel>thought\n", "<channel|>"),), calls=(GEMMA4,)),
    Family(name="function_gemma", calls=(FUNCTION_GEMMA,)),
    Family(name="phi4_mini", calls=(PHI4, FUNCTOOLS)),
)  # fmt: skip

FAMILIES = {row.name: row for row in _ROWS}
