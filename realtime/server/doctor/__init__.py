"""`realtime doctor`: what is wrong with a set-up, and what to do about it. Open `command.py` first.

A `finding` is the result of one check. `machine`, `packages`, `model`, `access` and `proxy` each check one part.
"""
