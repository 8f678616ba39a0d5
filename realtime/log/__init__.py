"""The event logs: one append-only log per response, cursors into it, and the store that keeps finished responses."""
