"""Write the generated parts of docs/: the table of settings in operations.md. `make docs` runs it."""

from __future__ import annotations

from pathlib import Path

from realtime.settings.text import with_table

OPERATIONS = Path(__file__).parent.parent / "docs" / "operations.md"

if __name__ == "__main__":
    OPERATIONS.write_text(with_table(OPERATIONS.read_text("utf-8")), "utf-8")
