"""The chat page under Node: its pure part (Markdown, branches, answers, requests, exports), and all types."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from realtime.server.page import files
from tests.support.node import JS, find_node

HERE = Path(__file__).parent


def test_its_own_tests() -> None:
    done = subprocess.run(
        [find_node(), "--test", "core.test.mjs"], cwd=HERE, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_its_types(tmp_path: Path) -> None:
    """As TypeScript reads them, the client's types included; what is vendored has none."""
    find_node()
    site = tmp_path / "site"
    shutil.copytree(Path(files.__file__).parent / "site", site)
    shutil.copytree(JS / "src", site / "client" / "src")
    shutil.copy(JS / "realtime-client.mjs", site / "client")
    for vendored in site.glob("vendor/**/*.mjs"):
        vendored.write_text("// @ts-nocheck\n" + vendored.read_text())
    (tmp_path / "package.json").write_text('{"type": "module"}')
    options = {"lib": ["es2024", "esnext", "dom", "dom.iterable", "dom.asynciterable"], "types": []}
    flags = dict.fromkeys(("allowJs", "checkJs", "strict", "noEmit", "skipLibCheck"), True)
    compiler = {"target": "es2024", "module": "nodenext", **options, **flags}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": compiler, "files": ["site/main.mjs"]}))
    tsc = [str(JS / "node_modules/.bin/tsc"), "-p", str(tmp_path)]
    done = subprocess.run(tsc, capture_output=True, text=True, timeout=120)
    complaints = [line for line in done.stdout.splitlines() if "error" in line and "/vendor/" not in line]
    assert complaints == []
