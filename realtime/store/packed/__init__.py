"""What stores that outlive the process have in common: everything as bytes, and the event loop's side of them, which
finds in memory what is not committed yet. Open `responses.py` first; `sqlite/` and `cluster/` bring the rows.
"""
