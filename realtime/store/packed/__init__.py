"""The common part of stores that outlive the process: everything as bytes, and the event loop's side, which finds in
memory what is not committed yet. Open `responses.py` first; `sqlite/` and `cluster/` bring the rows.
"""
