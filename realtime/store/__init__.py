"""Store: what is kept of responses and conversations, and everything that a restart would have to find again.

Runs append events to a log, connections and server-sent events read it at their own cursors, `service` looks up what is
over. Entries are encoded once, numbered without gaps, and never changed. A store refuses a cursor that it can't serve
exactly, and it is told the time rather than asking for it. Open `base.py` first: the protocols of a store.
"""
