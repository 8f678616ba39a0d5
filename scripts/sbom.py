"""Write requirements/sbom.cdx.json, the bill of materials that the wheel carries (PEP 770). `make docs` runs it.

It is CycloneDX 1.6. It names the contents of the wheel and, with the versions of requirements/cpu.txt, everything that
an installation brings: `required` without an extra, `optional` with the extra `cpu`. Dependencies are read from the
installed packages, so it is written where `make install` has been run. requirements/gpu.txt has what the extra `gpu`
brings.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.versions import ROOT

SBOM = ROOT / "requirements" / "sbom.cdx.json"
LOCK = ROOT / "requirements" / "cpu.txt"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
_NAME = "realtime-llm"
_BUNDLED = (  # what the wheel holds beside its own Python code
    ("library", "realtime-llm-client", "the chat page's client, as in clients/js"),
    ("machine-learning-model", "starter", "the embedded model, trained by training/starter"),
)


def pins(lock: str) -> dict[str, str]:
    """Return the versions that a lock pins, by name."""
    return {canonicalize_name(name): version for name, version in _PIN.findall(lock)}


def bill(project: Mapping[str, Any], pinned: Mapping[str, str]) -> dict[str, Any]:
    """Return the document. project: the table `project` of pyproject.toml. pinned: as `pins` returns it."""
    required = _closure(project["dependencies"], pinned)
    everything = _closure([*project["dependencies"], *project["optional-dependencies"]["cpu"]], pinned)
    version, license = project["version"], [{"license": {"id": project["license"]}}]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                **_package(_NAME, version),
                "licenses": license,
                "components": [
                    {"type": kind, "name": name, "version": version, "description": text, "licenses": license}
                    for kind, name, text in _BUNDLED
                ],
            }
        },
        "components": [
            {**_package(name, pinned[name]), "scope": "required" if name in required else "optional"}
            for name in sorted(everything)
        ],
        "dependencies": [
            {"ref": _purl(_NAME, version), "dependsOn": _refs(_direct(project["dependencies"], pinned), pinned)},
            *(
                {"ref": _purl(name, pinned[name]), "dependsOn": _refs(needs, pinned)}
                for name, needs in sorted(everything.items())
            ),
        ],
    }


def _closure(requirements: Iterable[str], pinned: Mapping[str, str]) -> dict[str, set[str]]:
    """Return all packages that these bring, each with its own requirements."""
    found: dict[str, set[str]] = {}
    waiting = [(Requirement(one).extras, name) for one in requirements for name in _direct([one], pinned)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        extras, name = waiting.pop()
        for extra in {"", *extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            asked = [text for text in _requires(name) if _holds(text, extra)]
            found.setdefault(name, set()).update(_direct(asked, pinned))
            waiting += [(Requirement(text).extras, needed) for text in asked for needed in _direct([text], pinned)]
    return found


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # pinned for another platform or Python
        return []


def _holds(text: str, extra: str) -> bool:
    marker = Requirement(text).marker
    return marker is None or marker.evaluate({"extra": extra})


def named(requirements: Iterable[str]) -> set[str]:
    """Return the names of these."""
    return {canonicalize_name(Requirement(one).name) for one in requirements}


def _direct(requirements: Iterable[str], pinned: Mapping[str, str]) -> set[str]:
    """Return the names of these, without those that an override takes out of the lock."""
    return named(requirements) & pinned.keys()


def _package(name: str, version: str) -> dict[str, str]:
    purl = _purl(name, version)
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


def _refs(names: Iterable[str], pinned: Mapping[str, str]) -> list[str]:
    return [_purl(name, pinned[name]) for name in sorted(names)]


def as_text(document: Mapping[str, Any]) -> str:
    """Return the file's text: a line for each package, so that a change of one pin is a change of one line."""
    text = json.dumps(document, indent=1)
    return re.sub(r"\n {3,}|\n  (?=[}\]])", " ", text) + "\n"


def current() -> str:
    """Return the contents that the file should have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return as_text(bill(project, pins(LOCK.read_text("utf-8"))))


if __name__ == "__main__":
    SBOM.write_text(current(), "utf-8")
