"""Dialects: prompts and output formats of each model family. Items become a prompt, tokens become meaning.

`choose.py` picks the dialect when a model has been loaded. Runs have it render prompts, and make one parser for each
generation. A parser yields pieces - text, reasoning, a call - and knows no events, ids or sockets. It never loses or
invents text: output that it can't make sense of stays text. Open `base.py` first.
"""
