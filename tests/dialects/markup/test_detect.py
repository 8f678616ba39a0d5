"""Which row a template shows, and what it has begun."""

# ruff: noqa: E501, RUF001 (tables)
from __future__ import annotations

import pytest

from realtime.dialects.markup.detect import ALL_FAMILIES, detect, started
from realtime.dialects.markup.machine import Start

TEMPLATES: list[tuple[str, str, str, str, str | None]] = [  # name, type, template, row, how its reasoning begins
    ("qwen3", "qwen3", "{{- '<tool_call>\\n{\"name\": \"' }}...{%- if '</think>' in content %}...{{- '<think>\\n\\n</think>\\n\\n' }}",
     "qwen3", "<think>"),
    ("qwen2.5", "qwen2", "within <tool_call></tool_call> XML tags:\\n<tool_call>\\n{\\\"name\\\":", "hermes", None),
    ("qwq", "qwen2", "<tool_call>{{ content.split('</think>')[-1] }}<|im_start|>assistant\\n<think>\\n", "qwen3", "<think>"),
    ("qwen3-coder", "qwen3_moe", "{{- '\\n<tool_call>\\n<function=' + tool_call.name + '>\\n' }}", "qwen3_coder", None),
    ("qwen3.5", "qwen3_next", "<tool_call>\\n<function=example>\\n<parameter= ...<think>\\n\\n</think>", "qwen3_5", "<think>"),
    ("qwen3-next-thinking", "qwen3_next", "<tool_call>\\n{\"name\": ... <think>\\n", "qwen3", "<think>"),
    ("llama3.1", "llama", "{{- '<|python_tag|>' + tool_call.name + '.call(' }}...{\"name\": function name, \"parameters\":", "llama3", None),
    ("llama4", "llama4", "{{- '<|python_start|>' }}", "llama4", None),
    ("mistral", "mistral", "{{- \"[TOOL_CALLS][\" }}", "mistral_v3", None),
    ("magistral", "mistral", "[SYSTEM_PROMPT][THINK]...[/THINK]{{- '[TOOL_CALLS]' + name + '[ARGS]' }}", "mistral", "[THINK]"),
    ("deepseek v3", "deepseek_v3", "'<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + name + '\\n' + '```json'",
     "deepseek_v3", None),
    ("deepseek r1", "deepseek_v3", "content.split('</think>')[-1] ... '<｜tool▁calls▁begin｜>...```json' ... <｜Assistant｜><think>\\n", "deepseek_v3", "<think>"),
    ("deepseek v3.1", "deepseek_v3", "'<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>'+ tool['function']['name'] + '<｜tool▁sep｜>' ... '</think>' ... '<think>'",
     "deepseek_v31", "<think>"),
    ("deepseek v3.2", "deepseek_v32", "{%- set dsml = '｜DSML｜' %}{{ '<' + dsml + 'function_calls>' }}{% if message.tool_calls %}</think>",
     "deepseek_v32", "<think>"),
    ("deepseek v4", "deepseek_v4", "{%- set dsml = '｜DSML｜' %}{{ '<' + dsml + 'tool_calls>' }}</think>", "deepseek_v4", "<think>"),
    ("kimi k3", "kimi_k3", "{% macro open_tag(x) %}<|open|>...<|sep|>...<|close|>{{ open_tag('think') }}", "kimi_k3", "<|open|>think<|sep|>"),
    ("minicpm 5", "llama", "content.split('<tool_sep>') <function name=\"...\"><param name=\"...\"> '<think>\\n'", "minicpm5", "<think>"),
    ("llama 3.2", "llama", "in the format {\"name\": function name, \"parameters\": dictionary", "llama3", None),
    ("llama 4 json", "llama4", "in the format {\"name\": function name, \"parameters\": dictionary", "llama4_json", None),
    ("exaone 4", "exaone4", "'assistant': '[|assistant|]\\n' <tool_call>{\"name\": '<think>\\n' '</think>'", "exaone4", "<think>"),
    ("laguna", "laguna", "<assistant>\\n<tool_call>function-name\n<arg_key>argument-key</arg_key>\n<arg_value> '</think>'", "poolside", "<think>"),
    ("minimax m3", "minimax_m3", "{%- set ns = ']<]minimax[>[' %}<tool_call> <mm:think></mm:think>", "minimax_m3", "<mm:think>"),
    ("command without tools", "cohere2", "<|CHATBOT_TOKEN|><|START_RESPONSE|>", "cohere", "<|START_THINKING|>"),
    ("lfm 2", "lfm2", "List of tools: <|tool_list_start|>[", "lfm2", None),
    ("smollm 3", "smollm3", "{{ xml_tools }} '<think>\\n\\n</think>\\n'", "plain", "<think>"),
    ("r1-distill-qwen", "qwen2", "'<｜tool▁calls▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + name + '\\n' + '```json' </think>", "deepseek_v3", "<think>"),
    ("glm 4.5", "glm4_moe", "<tool_call>{function-name}\n<arg_key>{arg-key-1}</arg_key>\n<arg_value>... {{ '\\n<think></think>' }}", "glm45", "<think>"),
    ("glm 4.7", "glm4_moe", "<tool_call>{function-name}<arg_key>{arg-key-1}</arg_key><arg_value>... {{ '<think></think>' }}", "glm47", "<think>"),
    ("kimi k2", "kimi_k2", "<|tool_calls_section_begin|>{%- for tool_call in %}<|tool_call_begin|>", "kimi_k2", None),
    ("kimi k2 thinking", "kimi_k2", "<|tool_calls_section_begin|>...<think></think>", "kimi_k2", "<think>"),
    ("granite 3.3", "granite", "<|start_of_role|>assistant ... '<|tool_call|>' ... <think></think><response>", "granite3", "<think>"),
    ("granite 4", "granitemoehybrid", "<tool_call>\\n{\\\"name\\\": <function-name>, \\\"arguments\\\":", "granite4", None),
    ("minimax m2", "minimax_m2", "{%- set toolcall_begin_token = '<minimax:tool_call>' %}...<think>", "minimax_m2", "<think>"),
    ("seed oss", "seed_oss", "<seed:think>...<seed:tool_call>\\n<function=", "seed_oss", "<seed:think>"),
    ("hunyuan", "hunyuan_v1_moe", "<answer>\\n<tool_calls>[{\"name\":", "hunyuan", "<think>"),
    ("ernie 4.5", "ernie4_5_moe", "<think>\\n...</think>...<tool_call>\\n{", "ernie45", "<think>"),
    ("step3", "step3_vl", "<｜tool_calls_begin｜>...<steptml:invoke name=", "step3", None),
    ("longcat", "longcat_flash", "<longcat_tool_call>\\n{", "longcat", None),
    ("olmo 3", "olmo3", "<function_calls>...<think>", "olmo3", "<think>"),
    ("nemotron nano", "nemotron_h", "<TOOLCALL>[...]</TOOLCALL><think>", "nemotron", "<think>"),
    ("nemotron 3", "nemotron_h", "<tool_call>\\n<function=...<think>", "nemotron_v3", "<think>"),
    ("gemma 3", "gemma3", "<start_of_turn>model", "gemma3", None),
    ("gemma 4", "gemma4", "<|tool_call>call:...<|channel>thought\\n<channel|>", "gemma4", "<|channel>thought"),
    ("function gemma", "gemma3_text", "<start_function_call>call:", "function_gemma", None),
    ("phi 4 mini", "phi3", "'<|tool|>' + tools + '<|/tool|>'", "phi4_mini", None),
    ("plain", "llama", "{{ message.content }}", "plain", None),
    ("plain that thinks", "llama", "{{ message.content.split('</think>') }}", "plain", "<think>"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model_type", "template", "row", "begins"), [row[1:] for row in TEMPLATES], ids=[r[0] for r in TEMPLATES]
)
def test_the_template_shows_the_family(model_type: str, template: str, row: str, begins: str | None) -> None:
    found = detect(model_type, template)
    assert found.name == row
    assert (found.thinking[0].begin.strip() if found.thinking else None) == begins
    if row in ALL_FAMILIES:
        assert found.calls == ALL_FAMILIES[row].calls


@pytest.mark.parametrize(
    ("family", "added", "want"),
    [
        ("qwen3", "<|im_start|>assistant\n", (Start.FREE, 0)),
        ("qwen3", "<|im_start|>assistant\n<think>\n", (Start.REASONING, 0)),
        ("qwen3", "<|im_start|>assistant\n<think>\n\n</think>\n\n", (Start.ANSWER, 0)),
        ("deepseek_v31", "<｜Assistant｜></think>", (Start.ANSWER, 0)),
        ("deepseek_v31", "<｜Assistant｜><think>", (Start.REASONING, 0)),
        ("kimi_k2", "◁think▷", (Start.REASONING, 1)),
        ("granite3", "<response>", (Start.WRAPPED, 0)),
        ("gemma4", "<|turn>model\n<|channel>thought\n", (Start.REASONING, 0)),
        ("hermes", "<think>", (Start.FREE, 0)),
    ],
)
def test_what_the_template_has_begun(family: str, added: str, want: tuple[Start, int]) -> None:
    assert started(ALL_FAMILIES[family], added) == want
