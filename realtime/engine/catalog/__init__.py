"""Models by a short name, and how each one gets onto this machine. Open `table.py` first.

`cache.py` gives the folder of a name; it has `fetch.py` download what is missing and `convert.py` turn it into a folder
that vLLM loads.
"""
