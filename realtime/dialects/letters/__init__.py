"""Letters of control tokens in texts of users, tools and documents: they stay letters. Pure. Open `template.py` first.

`control` says which tokens count. `marking` changes one character in each of their letters before a template renders
them, and back afterwards. `text` is a rendered text that knows where that was, and `encoder` tokenizes it.
"""
