"""A stop in every phase of a run: the end comes at once, whatever is waited for, with a receipt if it was a cancel, and
nothing is left in the engine or in the pool.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from realtime.context.compaction import Policy
from realtime.context.turns import Prompt
from realtime.dialects.chat import ChatDialect
from realtime.dialects.markup.named import NOTHING
from realtime.dialects.markup.reader import MarkupReader
from realtime.engine.base import EngineRequest
from realtime.engine.parsing import ALWAYS
from realtime.engine.scripted import Pause, Script, ScriptedEngine, say
from realtime.runs.audience import DISCONNECTED
from realtime.runs.endings import Cancelled
from realtime.runs.image_loader import ImageLoader
from realtime.runs.job import Job
from realtime.runs.life import State
from realtime.runs.mcp import stage as mcp_stage
from realtime.runs.mcp.open_items import CallResult
from realtime.runs.mcp.plan import McpPlan
from realtime.runs.run import Run
from realtime.runs.serving import Serving
from realtime.settings.fields import ImageSettings, McpServer, McpSettings
from realtime.wire.items import InputImage, McpListTools, McpTool, Message
from realtime.wire.requests import OnDisconnect, ResponseCreate
from tests.support.calls import TAGGED, called
from tests.support.event_loop import nothing_left
from tests.support.jobs import continuity, make_job, make_request, make_run, make_serving, turns_until, user
from tests.support.patience import SECONDS

__all__ = ["nothing_left"]

LONG = "x" * 9000
SILENT = say(Pause(1 << 30))
TOOL = McpTool(name="a", input_schema={"type": "object"})


class Stage:
    """A run that comes to a phase and stays there. `there`: whether it has come; `let_go`: what threads wait for."""

    def __init__(self, serving: Serving, engine: ScriptedEngine, job: Job) -> None:
        self.serving, self.engine = serving, engine
        self.job = job
        self.admitted = True
        self.run: Run
        self.there: Callable[[], object] = lambda: True
        self.let_go = threading.Event()

    def start(self) -> tuple[Run, asyncio.Task[None]]:
        run = make_run(self.job, self.serving)
        return run, run.start(admitted=self.admitted)


async def stage(
    request: ResponseCreate | None = None, script: Script = SILENT, family: str | None = None, **members: Any
) -> Stage:
    serving, engine = await make_serving(script, family=family, tick_seconds=None, max_model_len=20_000)
    return Stage(serving, engine, make_job(request, **members))


def render_in_vain(at: Stage) -> None:
    """Rendering never comes to an end by itself, and does not look whether anybody waits."""
    began = threading.Event()

    class Slow(ChatDialect):
        def render(self, *_: Any) -> Prompt:
            began.set()
            at.let_go.wait(SECONDS)
            raise AssertionError("nobody waits for this")

    loaded = at.engine.loaded
    at.serving = msgspec.structs.replace(
        at.serving, dialect=Slow(loaded.tokenizer, MarkupReader(NOTHING, loaded.tokenizer))
    )
    at.there = began.is_set


async def queued() -> Stage:
    at = await stage()
    at.admitted = False
    return at


async def admitted() -> Stage:
    return await stage()


async def fetching_images() -> Stage:
    asked = asyncio.Event()

    class Fetcher:
        async def fetch(self, url: str) -> bytes:
            asked.set()
            return await asyncio.Event().wait()  # type: ignore[return-value]

    image = Message(role="user", content=[InputImage(image_url="https://example.com/a.png")])
    at = await stage(ResponseCreate(items=[image]))
    loader = ImageLoader(ImageSettings(image_urls="public"), at.serving.work, Fetcher())  # type: ignore[arg-type]
    at.serving = msgspec.structs.replace(at.serving, images=loader)
    at.there = asked.is_set
    return at


async def measuring() -> Stage:
    at = await stage(make_request(LONG), compaction=Policy(threshold=10))
    render_in_vain(at)
    return at


async def summarizing() -> Stage:
    said = Message(role="assistant", content="word " * 1000)
    at = await stage(ResponseCreate(items=[user("hi"), said]), compaction=Policy(now=True))
    at.there = lambda: at.engine.stats().num_waiting
    return at


def mcp(request: ResponseCreate) -> McpPlan:
    settings = McpSettings(mcp_servers={"s": McpServer(url="http://x/mcp", require_approval="never")})
    plan = McpPlan.of(request, [], [], settings, ALWAYS)
    assert plan is not None
    return plan


async def with_tools(at_call: bool) -> Stage:
    listed = [McpListTools(server_label="s", tools=[TOOL])] if at_call else []
    request = make_request(tools=[{"type": "mcp", "server_label": "s"}])
    request.items = [*listed, *request.items]
    return await stage(request, say(*called("a", {})), family=TAGGED, mcp=mcp(request))


asked_servers: list[str] = []


class Session:
    """An MCP server that never answers."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    async def list_tools(self) -> list[McpTool]:
        asked_servers.append("list")
        return await asyncio.Event().wait()  # type: ignore[return-value]

    async def call(self, name: str, arguments: str) -> CallResult:
        asked_servers.append("call")
        return await asyncio.Event().wait()  # type: ignore[return-value]

    async def close(self) -> None: ...


async def listing_tools() -> Stage:
    at = await with_tools(at_call=False)
    at.there = lambda: asked_servers == ["list"]
    return at


async def calling_tools() -> Stage:
    at = await with_tools(at_call=True)

    def there() -> bool:
        at.engine.step()
        return asked_servers == ["call"]

    at.there = there
    return at


async def rendering() -> Stage:
    at = await stage(make_request(LONG))
    render_in_vain(at)
    return at


async def waiting_for_a_place() -> Stage:
    at = await stage(make_request(LONG))
    others = [asyncio.create_task(_hold_place(at)) for _ in range(2)]
    await asyncio.sleep(0)
    at.there = lambda: others and at.serving.work.num_waiting
    return at


async def _hold_place(at: Stage) -> None:
    async with at.serving.work.place("t"):
        while not at.let_go.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def submitting() -> Stage:
    at = await stage()
    asked = asyncio.Event()
    submit = at.engine.submit

    async def slow(request: EngineRequest, sink: Any) -> None:
        await submit(request, sink)  # the engine has it, but has not said so: a grammar is being compiled
        asked.set()
        await asyncio.Event().wait()

    at.engine.submit = slow  # type: ignore[method-assign]
    at.there = asked.is_set
    return at


async def prefilling() -> Stage:
    at = await stage()
    at.there = lambda: at.engine.stats().num_waiting
    return at


async def generating() -> Stage:
    at = await stage(script=say(*["word "] * 1000))

    def there() -> bool:
        at.engine.step()
        return at.engine.num_ticks > 5

    at.there = there
    return at


async def _aside(abort_ticks: int) -> Stage:
    """Generating, until it is put aside, as soon as it says something."""
    at = await stage(make_request(temperature=0.0), script=say(*["word "] * 1000))
    at.engine._abort_ticks = abort_ticks
    at.serving = msgspec.structs.replace(at.serving, continuity=continuity(at.engine))
    start = at.start

    def start_and_remember() -> tuple[Run, asyncio.Task[None]]:
        at.run, task = start()
        return at.run, task

    at.start = start_and_remember  # type: ignore[method-assign]
    return at


async def letting_go() -> Stage:
    """The engine has been told to let go, and has not yet."""
    at = await _aside(abort_ticks=3)

    def there() -> bool:
        if not at.run.may_be_put_aside or at.run.num_generated < 3:
            at.engine.step()
            return False
        at.run.put_aside()
        return True

    at.there = there
    return at


async def put_aside() -> Stage:
    at = await _aside(abort_ticks=0)

    def there() -> bool:
        if at.run.may_be_put_aside and at.run.num_generated > 2:
            at.run.put_aside()
        at.engine.step()
        return at.run._life.put_aside

    at.there = there
    return at


async def resumed() -> Stage:
    """Put aside, and submitted once more; the engine has not begun with it."""
    at = await put_aside()
    was_there = at.there

    def there() -> bool:
        if not at.run._life.put_aside and not was_there():
            return False
        at.run.admit()
        at.there = at.engine.stats
        return False

    at.there = there
    return at


PHASES = {
    "queued": (State.QUEUED, queued),
    "admitted": (State.ADMITTED, admitted),
    "fetching images": (State.LOADING_IMAGES, fetching_images),
    "measuring": (State.COMPACTING, measuring),
    "summarizing": (State.COMPACTING, summarizing),
    "listing tools": (State.LISTING_TOOLS, listing_tools),
    "rendering": (State.RENDERING, rendering),
    "waiting for a place": (State.RENDERING, waiting_for_a_place),
    "submitting": (State.GENERATING, submitting),
    "prefilling": (State.GENERATING, prefilling),
    "generating": (State.GENERATING, generating),
    "letting go": (State.GENERATING, letting_go),
    "put aside": (State.PUT_ASIDE, put_aside),
    "resumed": (State.GENERATING, resumed),
    "calling tools": (State.CALLING_TOOLS, calling_tools),
}
ABORTS = ("summarizing", "submitting", "prefilling", "generating", "letting go", "resumed")  # there the engine has it
UNWAITING = {State.CREATED, State.STARTED, State.ENDING, State.OVER}  # nothing is awaited there


def test_every_state_in_which_a_run_waits_is_tried() -> None:
    assert {state for state, _ in PHASES.values()} == set(State) - UNWAITING


def cancel(run: Run) -> tuple[str, str]:
    run.cancel(Cancelled("cancelled", delivered=0))
    return "cancelled", "cancelled"


def interrupt(run: Run) -> tuple[str, str]:
    run.stop("interrupt")
    return "incomplete", "interrupted"


def steer(run: Run) -> tuple[str, str]:
    run.stop("steer")
    return "incomplete", "steered"


def go_away(run: Run) -> tuple[str, str]:
    def wake() -> None: ...

    run.audience.follow(wake)
    run.audience.leave(wake, detached=False)
    return "cancelled", DISCONNECTED


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_servers.clear()
    monkeypatch.setattr(mcp_stage, "McpSession", Session)


@contextmanager
def held(at: Stage) -> Iterator[None]:
    try:
        yield
    finally:
        at.let_go.set()
        at.serving.work.close()


@pytest.mark.parametrize("way", [cancel, interrupt, steer, go_away], ids=lambda way: way.__name__)
@pytest.mark.parametrize("phase", PHASES)
async def test_a_stop_ends_it_at_once(phase: str, way: Callable[[Run], tuple[str, str]]) -> None:
    state, make = PHASES[phase]
    if way is steer and state is State.CALLING_TOOLS:
        pytest.skip("a steer waits until the calls are made")
    at = await make()
    at.job = msgspec.structs.replace(at.job, on_disconnect=OnDisconnect(policy="cancel"))
    with held(at):
        run, task = at.start()
        while not at.there():  # noqa: ASYNC110 - threads have no turns
            await asyncio.sleep(0)
        assert run._life.state is state
        status, reason = way(run)
        await turns_until(lambda: at.engine.step() or run.over)  # type: ignore[func-returns-value]
        await task
        details = run.response.incomplete_details
        assert details is not None
        assert (run.response.status, details.reason) == (status, reason)
        if status == "cancelled":
            receipt = run.response.cancel
            assert not isinstance(receipt, msgspec.UnsetType)
            assert (receipt.abort_ms > 0) == (phase in ABORTS)
        stats = at.engine.stats()
        assert (stats.num_running, stats.num_waiting) == (0, 0)
        assert at.serving.work.num_waiting == 0
