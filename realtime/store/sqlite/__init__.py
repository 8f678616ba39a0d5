"""SQLite: the store that outlives its process, one file for everything. Open `stores.py` first.

Running responses are written to a journal, one compressed blob for all of them at each flush; a finished response is
one compressed log and one record. One thread writes, in groups that commit together; others read. The event loop never
waits for either.
"""
