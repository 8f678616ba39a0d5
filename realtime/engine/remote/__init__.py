"""Engines elsewhere: `vllm serve` processes that take tokens and return tokens over HTTP, several behind one server.
Open `engine.py` first. What is decided (`choice`, `affinity`, `health`, `wire`) is pure; `http` and `endpoint` do the
I/O.
"""
