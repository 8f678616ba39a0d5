"""`realtime doctor`: what is wrong with a set-up, and what to do about it. Open `command.py` first.

`finding` is what a look comes to; `machine`, `packages`, `model`, `access` and `proxy` look, each at its part.
"""
