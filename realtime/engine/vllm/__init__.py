"""vLLM behind the `Engine` protocol: the only folder that imports vllm or torch, and only once an engine starts.

`server` makes an engine of this kind through the supervisor's factory, and ends its children when the process must end
at once; `engine/remote/` reads a model's files by `front.py` and compiles grammars as this one does; nobody else
imports from here. Every place that relies on an internal of vLLM is marked `# internal:` and pinned by
`tests/engine/test_vllm.py`. It never lets vLLM's types out: what leaves are the structs of `engine/base.py`. Open
`engine.py` first.
"""
