"""Engine: the boundary to the GPU. Prompt tokens go in, chunks of generated tokens come out.

Runs submit requests and are called back through a sink; `server` starts and ends the engine. `Engine` in `base.py` is
all that the rest of the server may ask for: `vllm/` implements it with a model, `scripted.py` without one, and
`supervisor.py` replaces an engine that has died. It knows no events, conversations or users, and it never blocks the
event loop. Open `base.py` first.
"""
