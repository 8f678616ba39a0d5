"""Harmony: the dialect of gpt-oss, whose prompts are messages with channels instead of a chat template.

`choose.py` makes it for models of that type. Its prompts depend on the items alone, so it never matters whether server
or client holds the history. Only `library.py` imports the Harmony package and does I/O. Open `dialect.py` first.
"""
