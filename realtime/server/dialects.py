"""The dialect of the served model, as the settings choose it: with the operator's family, the Harmony library's
vocabulary, and today's date.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from realtime.dialects.base import Dialect
from realtime.dialects.choose import choose_dialect
from realtime.dialects.harmony.dialect import Encoding
from realtime.dialects.markup.named import FamilyChoice
from realtime.engine.base import EngineError, Loaded
from realtime.engine.options import VllmOptions

from .families import family_choice

logger = logging.getLogger("realtime.server")


def dialect_maker(options: VllmOptions) -> Callable[[Loaded], Dialect]:
    """Return a function that makes the dialect of a loaded model, or raises EngineError. Raises SettingsError for an
    unknown family of models.
    """
    return partial(_make, options, family_choice(options))


def _make(options: VllmOptions, family: FamilyChoice, loaded: Loaded) -> Dialect:
    dialect = choose_dialect(
        loaded,
        options.dialect,
        load_encoding=lambda: _load_harmony(options.harmony_vocabulary),
        today=lambda: time.strftime("%Y-%m-%d"),
        family=family,
    )
    holds = [name for name in ("auto", "forced") if getattr(dialect.holds, name)]
    logger.info("family=%s holds=%s", dialect.name, ",".join(holds) or "nothing")
    return dialect


def _load_harmony(vocabulary: str | None) -> Encoding:
    """Import the Harmony library, which takes time, and load its vocabulary. Raises EngineError."""
    from realtime.dialects.harmony import library

    try:
        return library.load(vocabulary)
    except library.NoVocabulary as error:
        raise EngineError(str(error)) from error
