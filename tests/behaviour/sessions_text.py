"""Sessions in which the model says text: over every door, cut, failed, measured. Each public coroutine is one."""

from __future__ import annotations

from realtime.engine.scripted import Fail
from tests.support.recorded_session import playing
from tests.support.recording import Recording


async def plain_text(recording: Recording) -> None:
    """Two turns over the socket as OpenAI has it."""
    async with playing(recording, ("Hel", "lo"), ("a", "", "gain é語")) as stage, stage.socket() as ws:
        last = await ws.create("hi", instructions="Be brief.", metadata={"a": "b"})
        await ws.follow(last, [{"role": "user", "content": [{"type": "input_text", "text": "more"}]}])


async def native_text(recording: Recording) -> None:
    """The native profile, the nested form of a create, a lane."""
    async with playing(recording, ("Hel", "lo")) as stage, stage.socket(native=True) as native:
        await native.send("response.create", response={"input": "hi", "temperature": 0.5}, stream_id="a", event_id="e")
        await native.answer()


async def sse_text(recording: Recording) -> None:
    """The same as a stream of HTTP."""
    async with playing(recording, ("Hel", "lo\n")) as stage, stage.http() as http:
        events = await http.create(stream=True)
        await http.create("more", stream=True, previous_response_id=events[0]["response_id"])


async def json_text(recording: Recording) -> None:
    """The same as JSON, retrieved afterwards, and from another socket continued."""
    async with playing(recording, ("Hel", "lo")) as stage, stage.http() as http, stage.socket() as ws:
        response = await http.create(metadata={"a": "b"})
        await http.ask("GET", f"/v1/responses/{response['id']}")
        await ws.create("more", previous_response_id=response["id"])


async def text_that_is_cut(recording: Recording) -> None:
    """By the number of tokens, by a stop string, by the end of the context window."""
    answers = ("a", "b", "c"), ("one", " two STOP three"), ("x", "y", "z")
    async with playing(recording, *answers, max_model_len=60) as stage, stage.socket() as ws:
        await ws.create(max_output_tokens=2)
        await ws.create(stop=["STOP", "HALT"])
        await ws.create("x" * 9)
        await ws.create("x" * 60)


async def text_that_fails(recording: Recording) -> None:
    """In the middle, before anything was said, and the same over HTTP."""
    answers = ("a", Fail()), (Fail(),), ("a", Fail()), (Fail(),), (Fail(),)
    async with playing(recording, *answers) as stage, stage.socket() as ws, stage.http() as http:
        await ws.create()
        await ws.create(stream_id="a")
        await http.create()
        await http.create()
        await http.create(stream=True)


async def a_warm_up(recording: Recording) -> None:
    """A prompt that is prefilled, and what continues it."""
    async with playing(recording, (), ("ready",)) as stage, stage.socket() as ws:
        last = await ws.create("prepare", generate=False)
        await ws.follow(last, "go")


async def sampling_members(recording: Recording) -> None:
    """Everything that decides on tokens, and what is only echoed."""
    async with playing(recording) as stage, stage.socket(query="?model=starter") as ws:
        await ws.create(
            temperature=0.25, top_p=0.5, top_k=7, min_p=0.125, presence_penalty=1, frequency_penalty=-1,
            repetition_penalty=1.5, seed=3, stop="x", stop_token_ids=[65], logit_bias={"66": -100}, ignore_eos=False,
            cache_salt="salt", max_output_tokens=9,
        )  # fmt: skip
        await ws.create(
            model="starter", user="u", safety_identifier="s", prompt_cache_key="k", prompt_cache_retention="24h",
            service_tier="flex", max_tool_calls=3, text={"verbosity": "low"}, truncation="auto", unknown=1,
            chat_template_kwargs={"a": 1}, reasoning={"effort": "low"}, store=False, request_id="mine",
        )  # fmt: skip


async def logprobs(recording: Recording) -> None:
    """Log probabilities of what was said."""
    async with playing(recording, ("a", "b")) as stage, stage.socket() as ws:
        await ws.create(include=["message.output_text.logprobs"], top_logprobs=2)


async def token_ids(recording: Recording) -> None:
    """The prompt and the answer as tokens."""
    async with playing(recording, ("a",)) as stage, stage.socket() as ws:
        await ws.create(include=["token_ids"])


async def what_is_not_stored(recording: Recording) -> None:
    """A response of this lane only: continued, forked, moved on, and unknown elsewhere."""
    async with playing(recording) as stage, stage.socket() as ws, stage.socket("other") as other:
        last = await ws.create(store=False)
        await other.follow(last, "from elsewhere")
        await ws.follow(last, "a fork", stream_id="fork", store=False)
        await ws.follow(last, "on", store=False)
        await ws.follow(last, "too late", stream_id="late")


async def truncation(recording: Recording) -> None:
    """The oldest exchanges are left out, or the input does not fit."""
    async with playing(recording, max_model_len=200) as stage, stage.socket() as ws:
        last = await ws.create("first " + "x" * 60)
        last = await ws.follow(last, "second " + "y" * 60, truncation="auto")
        await ws.follow(last, "third", truncation="disabled")
        await ws.follow(last, "fourth", truncation="auto")
