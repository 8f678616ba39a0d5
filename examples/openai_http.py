"""OpenAI's SDK over HTTP: an answer, a stream, and one in the background that is left and taken up again.

`.venv/bin/python examples/openai_http.py [BASE_URL]`, with a server running (`make serve`).
"""

import sys

import openai

BASE_URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"

with openai.OpenAI(base_url=BASE_URL, api_key="unused") as client:
    response = client.responses.create(model="starter", input="My name is Ada.")
    print(response.output_text)

    for event in client.responses.create(
        model="starter", input="What is my name?", previous_response_id=response.id, stream=True
    ):
        if event.type == "response.output_text.delta":
            print(event.delta, end="", flush=True)
    print()

    stream = client.responses.create(model="starter", input="Count to 10", background=True, stream=True)
    seen = 0
    for event in stream:
        if event.type == "response.created":
            response = event.response
        elif event.type == "response.output_text.delta":
            print(event.delta, end="", flush=True)
            seen = event.sequence_number
            break  # the connection is lost, say; the server goes on
    stream.close()

    with client.responses.retrieve(response.id, stream=True, starting_after=seen) as rest:
        for later in rest:
            if later.type == "response.output_text.delta":
                print(later.delta, end="", flush=True)
    print(f"\n{client.responses.retrieve(response.id).usage}")
