"""What every row writes: reasoning and calls, to the letter, as the family's template renders them."""

# ruff: noqa: E501, RUF001 (tables of markup)
from __future__ import annotations

from typing import Any

import pytest

from realtime.dialects.markup.detect import ALL_FAMILIES
from realtime.dialects.markup.writer import write_calls, write_reasoning

FIRST: tuple[str, dict[str, Any]] = ("get_weather", {"city": "Paris", "deep": {"a": [1, None]}, "yes": True})
SECOND: tuple[str, dict[str, Any]] = ("anything", {})
NOT_SEEN = {
    "deepseek_v41", "ernie45", "step3", "longcat", "mimo", "dots", "plamo3", "k2_horizon", "hy_v4", "inkling",
    "minicpmv", "jamba",
}  # fmt: skip
TEXTS: list[tuple[str, int, str]] = [  # row, form, and in the first form reasoning too
    ("hermes", 0, '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}\n</tool_call>\n<tool_call>\n{"name": "anything", "arguments": {}}\n</tool_call>'),
    ("exaone4", 0, '<think>\nHm.\n</think>\n\n<tool_call>{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}</tool_call>\n<tool_call>{"name": "anything", "arguments": {}}</tool_call>'),
    ("qwen3", 0, '<think>\nHm.\n</think>\n\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}\n</tool_call>\n<tool_call>\n{"name": "anything", "arguments": {}}\n</tool_call>'),
    ("qwen3", 1, '<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=deep>\n{"a": [1, null]}\n</parameter>\n<parameter=yes>\ntrue\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=anything>\n</function>\n</tool_call>'),
    ("qwen3_coder", 0, '<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=deep>\n{"a": [1, null]}\n</parameter>\n<parameter=yes>\ntrue\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=anything>\n</function>\n</tool_call>'),
    ("qwen3_coder", 1, '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}\n</tool_call>\n<tool_call>\n{"name": "anything", "arguments": {}}\n</tool_call>'),
    ("qwen3_5", 0, '<think>\nHm.\n</think>\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=deep>\n{"a": [1, null]}\n</parameter>\n<parameter=yes>\ntrue\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=anything>\n</function>\n</tool_call>'),
    ("qwen3_5", 1, '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}\n</tool_call>\n<tool_call>\n{"name": "anything", "arguments": {}}\n</tool_call>'),
    ("llama3", 0, '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}; {"name": "anything", "parameters": {}}'),
    ("llama3", 1, '<|python_tag|>get_weather.call(city="Paris", deep={"a": [1, None]}, yes=True)'),
    ("llama3_r1", 0, '<think>\nHm.\n</think>\n\n<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}; {"name": "anything", "parameters": {}}'),
    ("llama3_r1", 1, '<|python_tag|>get_weather.call(city="Paris", deep={"a": [1, None]}, yes=True)'),
    ("llama4", 0, '<|python_start|>[get_weather(city="Paris", deep={"a": [1, None]}, yes=True), anything()]<|python_end|>'),
    ("llama4", 1, '<|python_start|>{"name": "get_weather", "parameters": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}; {"name": "anything", "parameters": {}}<|python_end|>'),
    ("llama4_json", 0, '<|python_start|>{"name": "get_weather", "parameters": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}; {"name": "anything", "parameters": {}}<|python_end|>'),
    ("llama4_json", 1, '<|python_start|>[get_weather(city="Paris", deep={"a": [1, None]}, yes=True), anything()]<|python_end|>'),
    ("functionary", 0, '<function=get_weather>{"city": "Paris", "deep": {"a": [1, null]}, "yes": true}</function><function=anything>{}</function>'),
    ("mistral", 0, '[THINK]Hm.[/THINK][TOOL_CALLS]get_weather[ARGS]{"city": "Paris", "deep": {"a": [1, null]}, "yes": true}[TOOL_CALLS]anything[ARGS]{}'),
    ("mistral", 1, '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"name": "anything", "arguments": {}}]'),
    ("mistral_v3", 0, '[THINK]Hm.[/THINK][TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"name": "anything", "arguments": {}}]'),
    ("mistral_v3", 1, '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris", "deep": {"a": [1, null]}, "yes": true}[TOOL_CALLS]anything[ARGS]{}'),
    ("deepseek_v3", 0, '<think>\nHm.\n</think>\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{"city": "Paris", "deep": {"a": [1, null]}, "yes": true}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>anything\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>'),
    ("deepseek_v3", 1, '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris", "deep": {"a": [1, null]}, "yes": true}<｜tool▁call▁end｜><｜tool▁call▁begin｜>anything<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>'),
    ("deepseek_v31", 0, '<think>Hm.</think><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris", "deep": {"a": [1, null]}, "yes": true}<｜tool▁call▁end｜><｜tool▁call▁begin｜>anything<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>'),
    ("deepseek_v31", 1, '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{"city": "Paris", "deep": {"a": [1, null]}, "yes": true}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>anything\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>'),
    ("deepseek_v32", 0, '<think>Hm.</think><｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>\n<｜DSML｜parameter name="deep" string="false">{"a": [1, null]}</｜DSML｜parameter>\n<｜DSML｜parameter name="yes" string="false">true</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="anything">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>'),
    ("deepseek_v32", 1, '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>\n<｜DSML｜parameter name="deep" string="false">{"a": [1, null]}</｜DSML｜parameter>\n<｜DSML｜parameter name="yes" string="false">true</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="anything">\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>'),
    ("deepseek_v4", 0, '<think>Hm.</think><｜DSML｜tool_calls>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>\n<｜DSML｜parameter name="deep" string="false">{"a": [1, null]}</｜DSML｜parameter>\n<｜DSML｜parameter name="yes" string="false">true</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="anything">\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>'),
    ("deepseek_v4", 1, '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>\n<｜DSML｜parameter name="deep" string="false">{"a": [1, null]}</｜DSML｜parameter>\n<｜DSML｜parameter name="yes" string="false">true</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="anything">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>'),
    ("glm45", 0, '\n<think>Hm.</think>\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>deep</arg_key>\n<arg_value>{"a": [1, null]}</arg_value>\n<arg_key>yes</arg_key>\n<arg_value>true</arg_value>\n</tool_call>\n<tool_call>anything\n</tool_call>'),
    ("glm47", 0, '<think>Hm.</think><tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value><arg_key>deep</arg_key><arg_value>{"a": [1, null]}</arg_value><arg_key>yes</arg_key><arg_value>true</arg_value></tool_call><tool_call>anything</tool_call>'),
    ("ling3", 0, '<think>Hm.</think><tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value><arg_key>deep</arg_key>\n<arg_value>{"a": [1, null]}</arg_value><arg_key>yes</arg_key>\n<arg_value>true</arg_value>\n</tool_call>\n<tool_call>anything\n\n</tool_call>'),
    ("poolside", 0, '<think>\nHm.\n</think>\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>deep</arg_key>\n<arg_value>{"a": [1, null]}</arg_value>\n<arg_key>yes</arg_key>\n<arg_value>true</arg_value>\n</tool_call>\n<tool_call>anything\n</tool_call>'),
    ("poolside_s", 0, '<think>Hm.</think><tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value><arg_key>deep</arg_key><arg_value>{"a": [1, null]}</arg_value><arg_key>yes</arg_key><arg_value>true</arg_value></tool_call><tool_call>anything</tool_call>'),
    ("hy_v3", 0, '<think>Hm.</think><tool_calls>\n<tool_call>get_weather<tool_sep>\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>deep</arg_key>\n<arg_value>{"a": [1, null]}</arg_value>\n<arg_key>yes</arg_key>\n<arg_value>true</arg_value>\n</tool_call>\n<tool_call>anything<tool_sep>\n</tool_call>\n</tool_calls>'),
    ("hy_v3", 1, '<tool_calls>\n<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value><arg_key>deep</arg_key><arg_value>{"a": [1, null]}</arg_value><arg_key>yes</arg_key><arg_value>true</arg_value></tool_call>\n<tool_call>anything</tool_call>\n</tool_calls>'),
    ("kimi_k2", 0, '<think>Hm.</think><|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Paris", "deep": {"a": [1, null]}, "yes": true}<|tool_call_end|><|tool_call_begin|>functions.anything:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>'),
    ("kimi_k3", 0, '<|open|>think<|sep|>Hm.<|close|>think<|sep|><|open|>tools<|sep|><|open|>call tool="get_weather" index="1"<|sep|><|open|>argument key="city" type="string"<|sep|>Paris<|close|>argument<|sep|><|open|>argument key="deep" type="object"<|sep|>{"a": [1, null]}<|close|>argument<|sep|><|open|>argument key="yes" type="boolean"<|sep|>true<|close|>argument<|sep|><|close|>call<|sep|><|open|>call tool="anything" index="2"<|sep|><|close|>call<|sep|><|close|>tools<|sep|>'),
    ("granite3", 0, '<think>Hm.</think><|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"name": "anything", "arguments": {}}]'),
    ("granite3", 1, '<tool_call>[{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"name": "anything", "arguments": {}}]'),
    ("granite4", 0, '<think>\nHm.\n</think>\n\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}\n</tool_call>\n<tool_call>\n{"name": "anything", "arguments": {}}\n</tool_call>'),
    ("granite_20b_fc", 0, '<function_call> {"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}\n<function_call> {"name": "anything", "arguments": {}}'),
    ("minimax_m1", 0, '<think>\nHm.\n</think>\n\n<tool_calls>\n{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}\n{"name": "anything", "arguments": {}}\n</tool_calls>'),
    ("minimax_m2", 0, '<think>\nHm.\n</think>\n\n<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Paris</parameter>\n<parameter name="deep">{"a": [1, null]}</parameter>\n<parameter name="yes">true</parameter>\n</invoke>\n<invoke name="anything">\n</invoke>\n</minimax:tool_call>'),
    ("minimax_m3", 0, '<mm:think>Hm.</mm:think>]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="get_weather">]<]minimax[>[<city>Paris]<]minimax[>[</city>]<]minimax[>[<deep>]<]minimax[>[<a>]<]minimax[>[<item>1]<]minimax[>[</item>]<]minimax[>[<item>null]<]minimax[>[</item>]<]minimax[>[</a>]<]minimax[>[</deep>]<]minimax[>[<yes>true]<]minimax[>[</yes>]<]minimax[>[</invoke>\n]<]minimax[>[<invoke name="anything">]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>'),
    ("minicpm5", 0, '<think>\nHm.\n</think>\n\n<function name="get_weather"><param name="city">Paris</param><param name="deep">{"a": [1, null]}</param><param name="yes">true</param></function>\n<function name="anything"></function>'),
    ("seed_oss", 0, '<seed:think>Hm.</seed:think>\n<seed:tool_call>\n<function=get_weather>\n<parameter=city>Paris</parameter>\n<parameter=deep>{"a": [1, null]}</parameter>\n<parameter=yes>true</parameter>\n</function>\n</seed:tool_call>\n<seed:tool_call>\n<function=anything>\n</function>\n</seed:tool_call>'),
    ("hunyuan", 0, '<think>\nHm.\n</think>\n<tool_calls>[{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"name": "anything", "arguments": {}}]</tool_calls>'),
    ("apriel", 0, 'Here are my reasoning steps:\nHm.\n[BEGIN FINAL RESPONSE]\n<tool_calls>[{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"name": "anything", "arguments": {}}]</tool_calls>'),
    ("step3p5", 0, '<think>\nHm.\n</think>\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=deep>\n{"a": [1, null]}\n</parameter>\n<parameter=yes>\ntrue\n</parameter>\n</function>\n</tool_call><tool_call>\n<function=anything>\n</function>\n</tool_call>'),
    ("olmo3", 0, '<think>Hm.</think><function_calls>\nget_weather(city=\'Paris\', deep={"a": [1, null]}, yes=true)\nanything()\n</function_calls>'),
    ("nemotron", 0, '<think>\nHm.\n</think>\n\n<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"name": "anything", "arguments": {}}]</TOOLCALL>'),
    ("nemotron_v3", 0, '<think>\nHm.\n</think>\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=deep>\n{"a": [1, null]}\n</parameter>\n<parameter=yes>\ntrue\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=anything>\n</function>\n</tool_call>'),
    ("gemma3", 0, '[get_weather(city="Paris", deep={"a": [1, None]}, yes=True), anything()]'),
    ("gemma3", 1, '```tool_code\nget_weather(city="Paris", deep={"a": [1, None]}, yes=True)\nanything()\n```'),
    ("gemma4", 0, '<|channel>thought\nHm.\n<channel|><|tool_call>call:get_weather{city:<|"|>Paris<|"|>,deep:{a:[1,null]},yes:true}<tool_call|><|tool_call>call:anything{}<tool_call|>'),
    ("function_gemma", 0, '<start_function_call>call:get_weather{city:<escape>Paris<escape>,deep:{a:[1,null]},yes:true}<end_function_call><start_function_call>call:anything{}<end_function_call>'),
    ("phi4_mini", 0, '<|tool_call|>{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}<|/tool_call|><|tool_call|>{"name": "anything", "arguments": {}}<|/tool_call|>'),
    ("phi4_mini", 1, '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"name": "anything", "arguments": {}}]<|/tool_call|>'),
    ("phi4_mini", 2, 'functools[{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"name": "anything", "arguments": {}}]'),
    ("lfm2", 0, '<think>Hm.</think><|tool_call_start|>[get_weather(city=\'Paris\', deep={"a": [1, null]}, yes=True), anything()]<|tool_call_end|>'),
    ("cohere", 0, '<|START_THINKING|>Hm.<|END_THINKING|><|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}},\n    {"tool_call_id": "1", "tool_name": "anything", "parameters": {}}\n]<|END_ACTION|>'),
    ("cohere4", 0, '<|START_THINKING|>Hm.<|END_THINKING|><|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}},\n    {"tool_call_id": "1", "tool_name": "anything", "parameters": {}}\n]<|END_ACTION|>'),
    ("gigachat3", 0, '<|message_sep|>\n\nfunction call<|role_sep|>\n{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}'),
    ("gigachat3", 1, '<|function_call|>{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}'),
    ("gigachat3", 2, 'function call<|role_sep|>\n{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}'),
    ("internlm2", 0, '<|action_start|><|plugin|>\n{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}<|action_end|><|action_start|><|plugin|>\n{"name": "anything", "arguments": {}}<|action_end|>'),
    ("apertus", 0, '<|inner_prefix|>Hm.<|inner_suffix|><|tools_prefix|>[{"get_weather": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"anything": {}}]<|tools_suffix|>'),
    ("xlam", 0, '[{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"name": "anything", "arguments": {}}]'),
    ("xlam", 1, '```json\n[{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"name": "anything", "arguments": {}}]\n```'),
    ("xlam", 2, '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"name": "anything", "arguments": {}}]'),
    ("xlam", 3, '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}\n</tool_call>\n<tool_call>\n{"name": "anything", "arguments": {}}\n</tool_call>'),
    ("pythonic", 0, '[get_weather(city="Paris", deep={"a": [1, None]}, yes=True), anything()]'),
    ("muse_glimmer", 0, ' to=self<|message|>Hm.<|eom|><|start|>assistant to=get_weather<|message|><atem:function_calls>\n<atem:invoke name="get_weather">\n<atem:parameter name="city">Paris</atem:parameter>\n<atem:parameter name="deep">{"a": [1, null]}</atem:parameter>\n<atem:parameter name="yes">true</atem:parameter>\n</atem:invoke>\n</atem:function_calls><|eom|><|start|>assistant to=anything<|message|><atem:function_calls>\n<atem:invoke name="anything">\n</atem:invoke>\n</atem:function_calls>'),
    ("solar_open", 0, '<|think|>Hm.<|end|><|begin|>assistant<|tool_calls|><|tool_call:begin|>get_weather<|tool_call:name|>get_weather<|tool_call:args|>{"city": "Paris", "deep": {"a": [1, null]}, "yes": true}<|tool_call:end|><|tool_call:begin|>anything<|tool_call:name|>anything<|tool_call:args|>{}<|tool_call:end|><|calls|>'),
    ("deepseek_v41", 0, '<think>Hm.</think><｜DSML｜ calls>\n<｜DSML｜ invoke name="get_weather">\n<｜DSML｜ parameter name="city" string="true">Paris</｜DSML｜ parameter>\n<｜DSML｜ parameter name="deep" string="false">{"a": [1, null]}</｜DSML｜ parameter>\n<｜DSML｜ parameter name="yes" string="false">true</｜DSML｜ parameter>\n</｜DSML｜ invoke>\n<｜DSML｜ invoke name="anything">\n</｜DSML｜ invoke>\n</｜DSML｜ calls>'),
    ("ernie45", 0, '<think>\nHm.\n</think>\n\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}\n</tool_call>\n<tool_call>\n{"name": "anything", "arguments": {}}\n</tool_call>'),
    ("step3", 0, '<think>\nHm.</think><｜tool_calls_begin｜>\n<｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="get_weather"><steptml:parameter name="city">Paris</steptml:parameter><steptml:parameter name="deep">{"a": [1, null]}</steptml:parameter><steptml:parameter name="yes">true</steptml:parameter></steptml:invoke><｜tool_call_end｜>\n<｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="anything"></steptml:invoke><｜tool_call_end｜>\n<｜tool_calls_end｜>'),
    ("longcat", 0, '<longcat_think>\nHm.\n</longcat_think>\n<longcat_tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}\n</longcat_tool_call>\n<longcat_tool_call>\n{"name": "anything", "arguments": {}}\n</longcat_tool_call>'),
    ("longcat", 1, '<longcat_tool_call>get_weather\n<longcat_arg_key>city</longcat_arg_key>\n<longcat_arg_value>Paris</longcat_arg_value>\n<longcat_arg_key>deep</longcat_arg_key>\n<longcat_arg_value>{"a": [1, null]}</longcat_arg_value>\n<longcat_arg_key>yes</longcat_arg_key>\n<longcat_arg_value>true</longcat_arg_value>\n</longcat_tool_call>\n<longcat_tool_call>anything\n</longcat_tool_call>'),
    ("mimo", 0, '<think>\nHm.\n</think>\n\n<tool_call><function=get_weather><parameter=city>Paris</parameter><parameter=deep>{"a": [1, null]}</parameter><parameter=yes>true</parameter></function></tool_call><tool_call><function=anything></function></tool_call>'),
    ("dots", 0, '<think>\nHm.\n</think>\n\n<dots_function_call>\n<invoke name="get_weather">\n<parameter name="city">Paris</parameter>\n<parameter name="deep">{"a": [1, null]}</parameter>\n<parameter name="yes">true</parameter>\n</invoke>\n<invoke name="anything">\n</invoke>\n</dots_function_call>'),
    ("plamo3", 0, '<|plamo:begin_think:plamo|>Hm.<|plamo:end_think:plamo|><|plamo:begin_tool_requests:plamo|><|plamo:begin_tool_request:plamo|><|plamo:begin_tool_name:plamo|>get_weather<|plamo:end_tool_name:plamo|><|plamo:begin_tool_arguments:plamo|><|plamo:constrain|>json<|plamo:msg|>{"city": "Paris", "deep": {"a": [1, null]}, "yes": true}<|plamo:end_tool_arguments:plamo|><|plamo:end_tool_request:plamo|><|plamo:begin_tool_request:plamo|><|plamo:begin_tool_name:plamo|>anything<|plamo:end_tool_name:plamo|><|plamo:begin_tool_arguments:plamo|><|plamo:constrain|>json<|plamo:msg|>{}<|plamo:end_tool_arguments:plamo|><|plamo:end_tool_request:plamo|><|plamo:end_tool_requests:plamo|>'),
    ("k2_horizon", 0, '<ifm|think>Hm.</ifm|think><ifm|tool_calls>\n<ifm|tool_call>get_weather\n<ifm|arg_key>city</ifm|arg_key>\n<ifm|arg_value>Paris</ifm|arg_value>\n<ifm|arg_key>deep</ifm|arg_key>\n<ifm|arg_value>{"a": [1, null]}</ifm|arg_value>\n<ifm|arg_key>yes</ifm|arg_key>\n<ifm|arg_value>true</ifm|arg_value>\n</ifm|tool_call>\n<ifm|tool_call>anything\n</ifm|tool_call>\n</ifm|tool_calls>'),
    ("k2_horizon", 1, '<ifm|tool_calls>\n<ifm|tool_call>{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}</ifm|tool_call>\n<ifm|tool_call>{"name": "anything", "arguments": {}}</ifm|tool_call>\n</ifm|tool_calls>'),
    ("hy_v4", 0, '<think>Hm.</think><tool_calls>\n<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value><arg_key>deep</arg_key><arg_value>{"a": [1, null]}</arg_value><arg_key>yes</arg_key><arg_value>true</arg_value></tool_call>\n<tool_call>anything</tool_call>\n</tool_calls>'),
    ("hy_v4", 1, '<tool_calls>\n<tool_call>get_weather<tool_sep>\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>deep</arg_key>\n<arg_value>{"a": [1, null]}</arg_value>\n<arg_key>yes</arg_key>\n<arg_value>true</arg_value>\n</tool_call>\n<tool_call>anything<tool_sep>\n</tool_call>\n</tool_calls>'),
    ("inkling", 0, '<|message_model|><|content_thinking|>Hm.<|end_message|><|message_model|><|content_invoke_tool_json|>{"name": "get_weather", "args": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}<|end_message|><|message_model|><|content_invoke_tool_json|>{"name": "anything", "args": {}}<|end_message|>'),
    ("minicpmv", 0, '<think>\nHm.\n</think>\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=deep>\n{"a": [1, null]}\n</parameter>\n<parameter=yes>\ntrue\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=anything>\n</function>\n</tool_call>'),
    ("minicpmv", 1, '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}\n</tool_call>\n<tool_call>\n{"name": "anything", "arguments": {}}\n</tool_call>'),
    ("jamba", 0, '<tool_calls>[{"name": "get_weather", "arguments": {"city": "Paris", "deep": {"a": [1, null]}, "yes": true}}, {"name": "anything", "arguments": {}}]</tool_calls>'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "form", "text"), TEXTS, ids=[f"{name}-{form}" for name, form, _ in TEXTS])
def test_a_row_writes_what_its_template_renders(name: str, form: int, text: str) -> None:
    row = ALL_FAMILIES[name]
    calls = row.calls[form]
    head = write_reasoning(row, "Hm.") if row.thinking and not form else ""
    assert head + write_calls(calls, [FIRST, SECOND] if calls.several else [FIRST]) == text


def test_every_form_of_every_row_is_written_down() -> None:
    assert [(name, form) for name, form, _ in TEXTS] == [
        (name, form) for name, row in ALL_FAMILIES.items() for form in range(len(row.calls))
    ]


def test_which_rows_were_not_held_to_a_template() -> None:
    assert {name for name, row in ALL_FAMILIES.items() if not row.seen} == NOT_SEEN
