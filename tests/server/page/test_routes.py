"""The chat page over HTTP: by name only, cached by contents, under a policy that lets nothing out."""

from __future__ import annotations

from realtime.engine.scripted import say
from realtime.server.page.files import read_page
from realtime.settings.fields import ServerSettings, Settings
from tests.support.http import http
from tests.support.server import running


async def test_the_document_and_its_files() -> None:
    async with running(say("a")) as server, http(server) as client:
        document = await client.get("/")
        assert document.status_code == 200
        assert document.headers["content-type"] == "text/html; charset=utf-8"
        assert document.headers["cache-control"] == "no-cache"
        policy = document.headers["content-security-policy"]
        assert {"default-src 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"} <= set(
            policy.split("; ")
        )
        assert "unsafe" not in policy
        assert "http" not in policy
        again = await client.get("/", headers={"if-none-match": f'"x", W/{document.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        page = read_page()
        module = await client.get(f"/page/{page.version}/main.mjs")
        assert module.content == page.files["main.mjs"].data
        assert module.headers["content-encoding"] == "gzip"
        assert module.headers["content-type"] == "text/javascript; charset=utf-8"
        assert "immutable" in module.headers["cache-control"]
        assert module.headers["x-content-type-options"] == "nosniff"
        plain = await client.get(f"/page/{page.version}/main.mjs", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == module.content
        assert (await client.head("/")).status_code == 200
        assert (await client.post("/")).status_code == 405


NOT_THERE = (
    "", "nothing.mjs", "../files.py", "..%2ffiles.py", "%2e%2e/%2e%2e/files.py", "core/../../files.py", "/etc/passwd",
    "vendor/manifest.json", "index.html", "client/package.json", "main.mjs%00.css",
)  # fmt: skip


async def test_only_its_files_can_be_asked_for() -> None:
    async with running(say("a")) as server, http(server) as client:
        for name in NOT_THERE:
            answer = await client.get(f"/page/{read_page().version}/{name}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), name
        assert (await client.get("/page/0123456789abcdef/main.mjs")).status_code == 404


async def test_the_operator_can_turn_it_off() -> None:
    settings = Settings(server=ServerSettings(page=False))
    async with running(say("a"), settings) as server, http(server) as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get(f"/page/{read_page().version}/main.mjs")).status_code == 404
