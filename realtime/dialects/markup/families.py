"""The families whose templates were read: each row writes what the template renders. Pure."""

from __future__ import annotations

from . import forms
from .family import Family, Thinking

THINK = Thinking("<think>\n", "\n</think>\n\n")
THINK_CLOSE = Thinking("<think>\n", "\n</think>\n")  # the answer in the next line
THINK_TIGHT = Thinking("<think>", "</think>")
DSML = (forms.dsml("", "function_calls"), forms.dsml("", "tool_calls"))
CODER = (forms.QWEN3_CODER, forms.HERMES)
MISTRAL_THINK = Thinking("[THINK]", "[/THINK]")

_ROWS = (
    Family(name="hermes", calls=(forms.HERMES,)),
    Family(name="exaone4", thinking=(THINK,), calls=(forms.EXAONE4,)),
    Family(name="qwen3", thinking=(THINK,), calls=CODER[::-1]),
    Family(name="qwen3_coder", calls=CODER),
    Family(name="qwen3_5", thinking=(THINK,), calls=CODER),
    Family(name="llama3", calls=forms.LLAMA3),
    Family(name="llama3_r1", thinking=(THINK,), calls=forms.LLAMA3),
    Family(name="llama4", calls=(forms.LLAMA4_PYTHONIC, forms.LLAMA4_JSON)),
    Family(name="llama4_json", calls=(forms.LLAMA4_JSON, forms.LLAMA4_PYTHONIC)),
    Family(name="functionary", calls=(forms.FUNCTIONARY,)),
    Family(name="mistral", thinking=(MISTRAL_THINK,), calls=(forms.MISTRAL, forms.MISTRAL_LIST), ids="{hash}",
           reasoning="parts"),
    Family(name="mistral_v3", thinking=(MISTRAL_THINK,), calls=(forms.MISTRAL_LIST, forms.MISTRAL), ids="{hash}"),
    Family(name="deepseek_v3", thinking=(THINK,), calls=(forms.DEEPSEEK_V3, forms.DEEPSEEK_V31)),
    Family(name="deepseek_v31", thinking=(THINK_TIGHT,), calls=(forms.DEEPSEEK_V31, forms.DEEPSEEK_V3)),
    Family(name="deepseek_v32", thinking=(THINK_TIGHT,), calls=DSML),
    Family(name="deepseek_v4", thinking=(THINK_TIGHT,), calls=DSML[::-1]),
    Family(name="glm45", thinking=(Thinking("\n<think>", "</think>\n"),), calls=(forms.GLM45,)),
    Family(name="glm47", thinking=(THINK_TIGHT,), calls=(forms.GLM47,)),
    Family(name="ling3", thinking=(THINK_TIGHT,), calls=(forms.LING3,)),
    Family(name="poolside", thinking=(THINK_CLOSE,), calls=(forms.GLM45,)),
    Family(name="poolside_s", thinking=(THINK_TIGHT,), calls=(forms.GLM47,)),
    Family(name="hy_v3", thinking=(THINK_TIGHT,), calls=(forms.HY_V3, forms.HY_V4)),
    Family(
        name="kimi_k2", thinking=(THINK_TIGHT, Thinking("◁think▷", "◁/think▷")), calls=(forms.KIMI_K2,),
        ids="functions.{name}:{index}",
    ),
    Family(
        name="kimi_k3", thinking=(Thinking("<|open|>think<|sep|>", "<|close|>think<|sep|>",
                                           ("<|open|>response<|sep|>", "<|close|>response<|sep|>")),),
        calls=(forms.KIMI_K3,),
    ),
    Family(
        name="granite3",
        thinking=(
            Thinking("<think>", "</think>", ("<response>", "</response>")),
            Thinking("Here is my thought process:", "Here is my response:"),
            Thinking("Here's my thought process:", "Here's my response:"),
        ),
        calls=(forms.GRANITE3, forms.GRANITE31),
    ),
    Family(name="granite4", thinking=(THINK,), calls=(forms.HERMES,)),
    Family(name="granite_20b_fc", calls=(forms.GRANITE_20B_FC,)),
    Family(name="minimax_m1", thinking=(THINK,), calls=(forms.MINIMAX_M1,)),
    Family(name="minimax_m2", thinking=(THINK,), calls=(forms.MINIMAX_M2,)),
    Family(name="minimax_m3", thinking=(Thinking("<mm:think>", "</mm:think>"),), calls=(forms.MINIMAX_M3,)),
    Family(name="minicpm5", thinking=(THINK,), calls=(forms.MINICPM5,)),
    Family(name="seed_oss", thinking=(Thinking("<seed:think>", "</seed:think>\n"),), calls=(forms.SEED,)),
    Family(
        name="hunyuan",
        thinking=(Thinking("<think>\n", "\n</think>\n", ("<answer>\n", "\n</answer>")),),
        calls=(forms.HUNYUAN,),
    ),
    Family(
        name="apriel",
        thinking=(Thinking("Here are my reasoning steps:\n", "\n[BEGIN FINAL RESPONSE]\n"),),
        calls=(forms.HUNYUAN,),
    ),
    Family(name="step3p5", thinking=(THINK_CLOSE,), calls=(forms.STEP3P5,)),
    Family(name="olmo3", thinking=(THINK_TIGHT,), calls=(forms.OLMO3,)),
    Family(name="nemotron", thinking=(THINK,), calls=(forms.TOOLCALL,)),
    Family(name="nemotron_v3", thinking=(THINK_CLOSE,), calls=(forms.QWEN3_CODER,)),
    Family(name="gemma3", calls=(forms.PYTHONIC, forms.TOOL_CODE)),
    Family(name="gemma4", thinking=(Thinking("<|channel>thought\n", "\n<channel|>"),), calls=(forms.GEMMA4,)),
    Family(name="function_gemma", calls=(forms.FUNCTION_GEMMA,)),
    Family(name="phi4_mini", calls=(forms.PHI4_ONE, forms.PHI4, forms.FUNCTOOLS)),
    Family(name="lfm2", thinking=(THINK_TIGHT,), calls=(forms.LFM2,), reasoning="thinking"),
    Family(
        name="cohere",
        thinking=(Thinking("<|START_THINKING|>", "<|END_THINKING|>", ("<|START_RESPONSE|>", "<|END_RESPONSE|>")),),
        calls=(forms.COHERE,),
    ),
    Family(
        name="cohere4",
        thinking=(Thinking("<|START_THINKING|>", "<|END_THINKING|>", ("<|START_TEXT|>", "<|END_TEXT|>")),),
        calls=(forms.COHERE,),
    ),
    Family(name="gigachat3", calls=forms.GIGACHAT3),
    Family(name="internlm2", calls=(forms.INTERNLM2,)),
    Family(name="apertus", thinking=(Thinking("<|inner_prefix|>", "<|inner_suffix|>"),), calls=(forms.APERTUS,)),
    Family(name="xlam", calls=(*forms.XLAM, forms.GRANITE3, forms.HERMES)),
    Family(name="pythonic", calls=(forms.PYTHONIC,)),
    Family(
        name="muse_glimmer",
        thinking=(
            Thinking(
                " to=self<|message|>",
                "<|eom|><|start|>assistant",
                (" to=user<|message|>", "<|eom|><|start|>assistant"),
            ),
        ),
        calls=(forms.MUSE_GLIMMER,),
    ),
    Family(
        name="solar_open",
        thinking=(Thinking("<|think|>", "<|end|><|begin|>assistant", ("<|content|>", "<|end|>")),),
        calls=(forms.SOLAR,),
        reasoning="reasoning",
    ),
)  # fmt: skip

FAMILIES = {row.name: row for row in _ROWS}
