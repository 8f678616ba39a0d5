"""SQLite: the store that outlives its process, one file for everything. Open `stores.py` first.

What runs is told to a journal, one compressed blob for all responses at each flush; what is over is one compressed log
and one record. One thread writes, in groups that commit together; others read. The event loop never waits for either.
"""
