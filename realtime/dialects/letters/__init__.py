"""Control tokens in what users, tools and documents write: their letters stay letters. Pure. Open `template.py` first.

`control` says which tokens count, `marking` changes one character in each of their letters before a template renders
them and back afterwards, `text` is a rendered text that knows where that was, and `encoder` makes tokens of it.
"""
