"""The chat page's files: small, whole, the client's own source, and what is vendored is what its makers published."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

from realtime.server.page import files
from realtime.server.page.files import needed_modules, read_page, served
from tests.support.node import find_node

SITE = Path(files.__file__).parent / "site"
VENDOR = SITE / "vendor"
REPOSITORY = Path(__file__).parents[3]
JS = REPOSITORY / "clients" / "js"
BUDGET = 90_000  # bytes, compressed, before what is loaded later
MAX_LINES = 320
OWN = sorted(path for path in SITE.rglob("*.mjs") if VENDOR not in path.parents)


def test_it_is_within_its_budget() -> None:
    page = read_page()
    modules = needed_modules({name: file.data for name, file in page.files.items()}, "main.mjs")
    styles = [name for name in page.files if name.endswith(".css")]
    assert {"client/src/client.mjs", "vendor/marked.mjs"} <= set(modules)
    assert not [name for name in modules if "highlight" in name or "temml" in name]
    assert len(page.document.zipped) + sum(len(page.files[name].zipped) for name in modules + styles) < BUDGET


def test_the_document_names_all_that_it_loads() -> None:
    page = read_page()
    text = page.document.data.decode()
    assert "{{" not in text
    named = re.findall(rf'(?:href|src)="page/{page.version}/([^"]+)"', text)
    assert set(named) <= set(page.files)
    assert set(needed_modules({name: file.data for name, file in page.files.items()}, "main.mjs")) <= set(named)
    assert re.findall(r'(?:href|src)="(?!page/)', text) == []


def test_the_client_is_the_one_source() -> None:
    page = read_page()
    sources = {
        f"client/{path.relative_to(JS).as_posix()}": path for path in [*JS.glob("*.mjs"), *JS.glob("src/**/*.mjs")]
    }
    served_client = {name: file.data for name, file in page.files.items() if name.startswith("client/")}
    assert served_client == {name: served(name, sources[name].read_bytes()) for name in served_client}
    wheel = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {
        "clients/js/realtime-client.mjs": "realtime/server/page/client/realtime-client.mjs",
        "clients/js/src": "realtime/server/page/client/src",
    }


def test_to_leave_out_comments_leaves_out_nothing_else() -> None:
    """No text spans lines, so what begins a line like a comment is one; and casts stand in no text."""
    for path in [*OWN, *JS.glob("src/*.mjs")]:
        lines = path.read_text().splitlines()
        for line in lines:
            assert line.count("`") % 2 == 0 or line.lstrip().startswith(("*", "//", "/**")), line
            for cast in re.finditer(r"/\*\* @", line):
                before = line[: cast.start()]
                assert before.count('"') % 2 == 0, line
                assert before.count("`") % 2 == 0 or before.rfind("${") > before.rfind("}"), line
        assert len(lines) <= MAX_LINES or JS in path.parents


def test_all_the_code_is_served() -> None:
    """Line by line, as somebody would leave the comments out by hand."""
    for path in [*OWN, *JS.glob("src/*.mjs")]:
        kept, inside = [], False
        for line in path.read_text().splitlines():
            text = line.strip()
            inside = inside or (text.startswith("/**") and ("*/" not in text or text.endswith("*/")))
            if not inside and not text.startswith("//"):
                kept.append(re.sub(r"/\*\* @.*?\*/ ?", "", line))
            inside = inside and "*/" not in text
        assert served(path.name, path.read_bytes()).decode().splitlines() == kept, path


def test_every_module_can_be_parsed(tmp_path: Path) -> None:
    node = find_node()
    for name, file in read_page().files.items():
        if name.endswith(".mjs"):
            (tmp_path / name.replace("/", "+")).write_bytes(file.data)
    names = sorted(tmp_path.glob("*.mjs"))
    parse = "new (require('vm').SourceTextModule)(require('fs').readFileSync(name, 'utf8'))"
    check = f"for (const name of process.argv.slice(1)) {parse}"
    done = subprocess.run([node, "--experimental-vm-modules", "-e", check, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_vendored_is_what_was_published() -> None:
    listed: dict[str, str] = {}
    notices = (VENDOR / "LICENSES.md").read_text()
    for package in json.loads((VENDOR / "manifest.json").read_text()):
        assert package["version"]
        assert package["licence"] in {"MIT", "BSD-3-Clause"}
        assert len(base64.b64decode(package["integrity"].removeprefix("sha512-"))) == 64
        assert re.search(rf"## {package['package'].split('/')[0].strip('@')[:9]}", notices, re.IGNORECASE)
        listed |= {name: file["sha256"] for name, file in package["files"].items()}
    there = {path.relative_to(VENDOR).as_posix(): path for path in VENDOR.rglob("*.mjs")}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()} == listed


def test_languages_say_the_same_things() -> None:
    keys = [
        re.findall(r'^  "?([\w.]+)"?: "', path.read_text(), re.MULTILINE)
        for path in sorted((SITE / "lang").glob("*.mjs"))
    ]
    assert len(keys) == 2
    assert keys[0] == keys[1]
    used = {key for path in OWN for key in re.findall(r'\bt\("([\w.]+)"', path.read_text())}
    assert used <= set(keys[0])


def test_nothing_makes_markup_of_a_text() -> None:
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML|\beval\b|new Function|srcdoc"
    for path in OWN:
        assert not re.search(f"{ways}|createContextualFragment", path.read_text()), path


def test_compressed_is_the_same() -> None:
    for file in read_page().files.values():
        assert gzip.decompress(file.zipped) == file.data
