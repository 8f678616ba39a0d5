"""The catalogue: models by a short name, and how each is brought onto this machine. Open `table.py` first.

`cache.py` returns the folder of a name. It has `fetch.py` download what is missing, and `convert.py` turn it into a
folder that vLLM can load.
"""
