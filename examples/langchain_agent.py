"""LangChain, unmodified, with a tool, over chat completions.

`.venv/bin/python examples/langchain_agent.py [BASE_URL]`, with a server running (`make serve`).
"""

import sys

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

BASE_URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"


@tool
def get_weather(city: str) -> str:
    """Weather in a city"""
    print(f"get_weather({city!r})")
    return "sunny, 21 degrees"


key = SecretStr("unused")
model = ChatOpenAI(model="starter", base_url=BASE_URL, api_key=key, temperature=0).bind_tools([get_weather])
messages: list[BaseMessage] = [HumanMessage("What is the weather in Paris?")]
answer = model.invoke(messages)
while isinstance(answer, AIMessage) and answer.tool_calls:
    messages.append(answer)
    messages += [ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]) for call in answer.tool_calls]
    answer = model.invoke(messages)
print("".join(str(chunk.content) for chunk in model.stream(messages)))
