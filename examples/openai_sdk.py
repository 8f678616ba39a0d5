"""The official SDK, unmodified: only the base URL is ours. `.venv/bin/python examples/openai_sdk.py [BASE_URL]`."""

import sys

import openai

BASE_URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"

client = openai.OpenAI(base_url=BASE_URL, api_key="unused")
with client.responses.connect() as connection:
    connection.response.create(model="starter", input="Count to 10")
    for event in connection:
        if event.type == "response.output_text.delta":
            print(event.delta, end="", flush=True)
        elif event.type == "response.completed":
            print(f"\n{event.response.usage}")
            break
