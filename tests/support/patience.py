"""How long tests wait for what must come: on a machine that does much else, milliseconds become seconds.

Nothing is about time, so this guards against hanging alone. tests/house/test_patience.py holds tests to it.
"""

from __future__ import annotations

#: For one wait. What CI gives a whole test, `faulthandler_timeout` of .ci/run, is more.
SECONDS = 400
