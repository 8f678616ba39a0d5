"""vLLM behind the `Engine` protocol: the only folder that imports vllm or torch, and only once an engine starts.

`server` makes an engine of this kind through the supervisor's factory, and ends its children when the process must end
at once. `engine/remote/` reads a model's files by `front.py` and compiles grammars as this package does. Nobody else
imports from here. Every place that relies on an internal of vLLM is marked `# internal:` and pinned by
`tests/engine/test_vllm.py`. vLLM's types never leave this folder: its interface is the structs of `engine/base.py`.
Open `engine.py` first.
"""
