"""Context: what a model is given - turns, tools, directives, attachments, compacted histories.

`service` asks it when a request comes in, `runs` before each generation, and the dialects render what it returns. It
holds the rules by which items stand for more than their text. It never renders, generates, fetches or stores anything,
and it never changes a turn, because a turn may have many continuations. Open `turns.py` first.
"""
