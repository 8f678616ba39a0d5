"""Remote engines: `vllm serve` processes that take tokens and return tokens over HTTP, several behind one server. Open
`engine.py` first. The modules that decide (`choice`, `affinity`, `health`, `wire`) are pure; `http` and `endpoint` do
the I/O.
"""
