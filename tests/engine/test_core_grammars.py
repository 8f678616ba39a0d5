"""EngineCore's grammars: no tenant finds another's compiled, and none waits for all of another's."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.engine.vllm.core_grammars import SaltedBackends, TakingTurns
from realtime.service.prefix_salts import PrefixSalts
from tests.support.patience import SECONDS

SCHEMA = '{"type": "object", "properties": {"a": {"type": "string"}}}'


@pytest.fixture
def shared() -> Any:
    import xgrammar

    info = xgrammar.TokenizerInfo([bytes([byte]) for byte in range(256)], stop_token_ids=[0])
    return SimpleNamespace(compiler=xgrammar.GrammarCompiler(info))


def make_compiler(info: Any, limit: int) -> Any:
    import xgrammar

    return xgrammar.GrammarCompiler(info, cache_limit_bytes=limit)


def test_what_one_salt_has_compiled_another_has_to_compile(shared: Any) -> None:
    backends = SaltedBackends(make_compiler, 1 << 30)
    ada, eve = backends.of("ada", shared), backends.of("eve", shared)
    ada.compiler.compile_json_schema(SCHEMA)
    assert ada.compiler.get_cache_size_bytes() > 0
    assert eve.compiler.get_cache_size_bytes() == 0
    assert backends.of("ada", shared) is ada


def test_without_salts_all_share(shared: Any) -> None:
    backends = SaltedBackends(make_compiler, 1 << 30)
    assert backends.of(None, shared) is shared is backends.of(None, shared)


def test_all_that_is_kept_has_a_bound(shared: Any) -> None:
    shared.compiler.compile_json_schema(SCHEMA)
    one = shared.compiler.get_cache_size_bytes()
    backends = SaltedBackends(make_compiler, 8 * one)
    kept = {}
    for name in map(str, range(20)):
        kept[name] = backends.of(name, shared)
        kept[name].compiler.compile_json_schema(SCHEMA)
        assert backends._num_bytes() <= 9 * one
    assert backends.of("19", shared) is kept["19"]
    assert backends.of("0", shared) is not kept["0"], "the one that was used least lately"


def request(salt: str | None, *, finished: bool = False) -> Any:
    return SimpleNamespace(cache_salt=salt, is_finished=lambda: finished)


def test_tenants_take_turns_whatever_salts_they_make_up() -> None:
    salts = PrefixSalts(b"secret")
    pool, begin, ended = TakingTurns(1), threading.Event(), []

    def compile_one(one: Any) -> str:
        begin.wait(SECONDS)
        ended.append(one.name)
        return str(one.name)

    compiled = []
    for tenant, own in [("eve", "1"), ("eve", "2"), ("eve", None), ("ada", None), ("eve", "3"), ("ada", "x")]:
        one = request(salts.salt(tenant, own))
        one.name = tenant
        compiled.append(pool.submit(compile_one, one))
    begin.set()
    assert [one.result(SECONDS) for one in compiled] == ["eve", "eve", "eve", "ada", "eve", "ada"]
    assert ended == ["eve", "eve", "ada", "eve", "ada", "eve"] or ended == ["eve", "ada", "eve", "ada", "eve", "eve"]


def test_what_was_aborted_before_its_turn_is_left_out_and_errors_are_told() -> None:
    def fail(_: Any) -> None:
        raise ZeroDivisionError

    pool = TakingTurns(1)
    with pytest.raises(CancelledError):
        pool.submit(fail, request(None, finished=True)).result(SECONDS)
    with pytest.raises(ZeroDivisionError):
        pool.submit(fail, request(None)).result(SECONDS)
