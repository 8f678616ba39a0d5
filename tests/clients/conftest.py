"""The tests run the clients of this tree, installed or not."""

from __future__ import annotations

import sys
from pathlib import Path

CLIENTS = Path(__file__).parents[2] / "clients"
sys.path.insert(0, str(CLIENTS / "python"))
