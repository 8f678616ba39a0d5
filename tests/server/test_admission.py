"""Who may come in, how many at once, and when everybody has left. Without sockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from realtime.observability.instruments import Distribution
from realtime.server.admission import Admission
from realtime.server.keys import KeysError, read_keys, write_keys
from realtime.server.loop_lag import LoopLag
from realtime.service.principal import LOCAL
from realtime.settings.fields import Settings
from realtime.wire.errors import ErrorCode, WireError
from tests.support.server import changed
from tests.support.steps import make_keys

EVIL: dict[str, Any] = {"origin": "https://evil.example", "host": "127.0.0.1:8000"}


def knock(subprotocols: tuple[str, ...] = (), **headers: str) -> HTTPConnection:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "websocket", "headers": raw, "subprotocols": list(subprotocols)})


def refusal(admission: Admission, connection: HTTPConnection, door: str = "admit_socket") -> WireError:
    with pytest.raises(WireError) as refused:
        getattr(admission, door)(connection)
    return refused.value


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    return make_keys(tmp_path / "keys.json", "anna", "bob")


@pytest.fixture
def guarded(tmp_path: Path, keys: dict[str, str]) -> Settings:
    return changed(api_keys_file=str(tmp_path / "keys.json"))


@pytest.mark.parametrize("door", ["admit_socket", "admit_request"])
def test_both_doors_ask_for_the_key(guarded: Settings, keys: dict[str, str], door: str) -> None:
    admission = Admission(guarded)
    bearer: dict[str, Any] = {"authorization": f"Bearer {keys['anna']}"}
    assert getattr(admission, door)(knock(**bearer)).tenant == "anna"
    assert refusal(admission, knock(), door).code is ErrorCode.MISSING_API_KEY
    assert refusal(admission, knock(authorization="Bearer wrong"), door).code is ErrorCode.INVALID_API_KEY
    assert getattr(Admission(Settings()), door)(knock()) == LOCAL


def test_a_socket_may_show_its_key_as_a_subprotocol(guarded: Settings, keys: dict[str, str]) -> None:
    offers = ("realtime.v1", f"openai-insecure-api-key.{keys['bob']}")
    assert Admission(guarded).admit_socket(knock(offers)).tenant == "bob"


def test_a_keys_file_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(KeysError):
        Admission(changed(api_keys_file=str(tmp_path / "none.json")))


def test_whose_key_it_is(guarded: Settings, keys: dict[str, str]) -> None:
    admission = Admission(guarded)
    bob = admission.owner_of(keys["bob"])
    assert bob is not None
    assert bob.tenant == "bob"
    assert admission.owner_of("wrong") is None
    assert Admission(Settings()).owner_of("whatever") == LOCAL


@pytest.mark.parametrize("door", ["admit_socket", "admit_request"])
def test_the_origin_is_judged_before_the_key(guarded: Settings, keys: dict[str, str], door: str) -> None:
    assert refusal(Admission(guarded), knock(**EVIL), door).code is ErrorCode.ORIGIN_NOT_ALLOWED
    admission = Admission(changed(guarded, allowed_origins=(EVIL["origin"],)))
    assert refusal(admission, knock(**EVIL), door).code is ErrorCode.MISSING_API_KEY
    named: dict[str, Any] = {"origin": "https://gpu.example", "host": "gpu.example"}
    assert Admission(guarded).origin_allowed(knock(**named))
    assert not Admission(Settings()).origin_allowed(knock(**named)), "a name proves nothing where no key is asked for"


def test_sockets_and_requests_share_the_room() -> None:
    admission = Admission(changed(max_connections=2))
    with contextlib.ExitStack() as inside:
        inside.enter_context(admission.connection(LOCAL))
        assert admission.admit_socket(knock()) == LOCAL
        inside.enter_context(admission.request())
        assert (admission.num_connections, admission.num_requests) == (1, 1)
        full = refusal(admission, knock())
        assert (full.code, full.retry_after) == (ErrorCode.SERVER_IS_OVERLOADED, 5.0)
        assert admission.admit_request(knock()) == LOCAL, "it is one of the two"
        inside.enter_context(admission.request())
        assert refusal(admission, knock(), "admit_request").code is ErrorCode.SERVER_IS_OVERLOADED
    assert (admission.num_connections, admission.num_requests) == (0, 0)
    assert admission.admit_socket(knock()) == LOCAL


def test_a_wrong_key_learns_nothing_of_the_load(guarded: Settings) -> None:
    admission = Admission(changed(guarded, max_connections=1))
    admission.draining = True
    with admission.connection(LOCAL):
        assert refusal(admission, knock(authorization="Bearer wrong")).code is ErrorCode.INVALID_API_KEY


def test_a_drain_refuses_sockets_and_lets_requests_ask() -> None:
    admission = Admission(Settings())
    admission.draining = True
    refused = refusal(admission, knock())
    assert (refused.code, refused.retry_after) == (ErrorCode.SERVER_DRAINING, 5.0)
    assert admission.admit_request(knock()) == LOCAL


@pytest.mark.parametrize("error", [None, ZeroDivisionError, asyncio.CancelledError])
async def test_empty_when_the_last_one_has_left(error: type[BaseException] | None) -> None:
    admission = Admission(Settings())
    await admission.wait_empty()
    waiting: asyncio.Task[Any]
    with contextlib.suppress(*([error] if error else [])), admission.connection(LOCAL):
        with admission.request():
            waiting = asyncio.create_task(admission.wait_empty())
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done(), "a socket is open"
        if error is not None:
            raise error
    await waiting


def as_key(key: str) -> HTTPConnection:
    return knock(authorization=f"Bearer {key}")


@pytest.mark.parametrize("door", ["admit_socket", "admit_request"])
def test_one_of_several_keys_may_not_take_all_connections(
    guarded: Settings, keys: dict[str, str], tmp_path: Path, door: str
) -> None:
    admission = Admission(changed(guarded, max_connections=5))
    with contextlib.ExitStack() as inside:
        anna = admission.admit_socket(as_key(keys["anna"]))
        inside.enter_context(admission.connection(anna))
        assert getattr(admission, door)(as_key(keys["anna"])) == anna, "two are half of five"
        request = contextlib.ExitStack()
        request.enter_context(admission.request())
        request.enter_context(admission.of_tenant(anna))
        refused = refusal(admission, as_key(keys["anna"]), door)
        assert (refused.code, refused.retry_after) == (ErrorCode.TOO_MANY_QUEUED, 5.0)
        bob = getattr(admission, door)(as_key(keys["bob"]))
        assert bob.tenant == "bob", "for others there is room"
        inside.enter_context(request)
    keys = make_keys(tmp_path / "others.json", "anna")
    alone = Admission(changed(api_keys_file=str(tmp_path / "others.json"), max_connections=2))
    with alone.connection(alone.admit_socket(as_key(keys["anna"]))):
        assert alone.admit_socket(as_key(keys["anna"])).tenant == "anna", "the only key may have all"


def test_the_share_follows_the_keys_as_they_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = make_keys(path, "anna")
    admission = Admission(changed(api_keys_file=str(path), max_tenant_share=0.25))
    assert admission.tenant_share() == 1.0
    make_keys(path, "bob")
    admission.admit_socket(as_key(keys["anna"]))
    assert admission.tenant_share() == 0.25
    write_keys(path, read_keys(path).remove("bob"))
    admission.admit_socket(as_key(keys["anna"]))
    assert admission.tenant_share() == 1.0
    assert Admission(Settings()).tenant_share() == 1.0


def test_nothing_is_kept_of_a_tenant_that_has_left(guarded: Settings, keys: dict[str, str]) -> None:
    admission = Admission(guarded)
    with admission.connection(admission.admit_socket(as_key(keys["bob"]))):
        assert admission._inside_of
    assert not admission._inside_of


def test_a_server_that_is_behind_takes_no_new_socket_and_goes_on_with_requests() -> None:
    admission = Admission(Settings())
    admission.lag = lambda: 2.1
    assert admission.behind
    refused = refusal(admission, knock())
    assert (refused.code, refused.retry_after) == (ErrorCode.SERVER_IS_OVERLOADED, 5.0)
    assert admission.admit_request(knock()) == LOCAL
    admission.lag = lambda: 1.9
    assert not admission.behind
    assert admission.admit_socket(knock()) == LOCAL


async def test_the_lag_of_a_loop_is_known_while_it_is_late_and_afterwards() -> None:
    lag = LoopLag(Distribution("lag_seconds", "Late.", (0.1, 1.0)))
    lag.start()
    time.sleep(0.3)  # noqa: ASYNC251
    assert lag.seconds >= 0.19, "its timer is overdue"
    await asyncio.sleep(0)
    assert lag.seconds >= 0.19, "it was late when it was looked at"
    lag.stop()
