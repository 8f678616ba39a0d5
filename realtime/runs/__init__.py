"""Runs: the life of one response, from the decision to start it to its terminal event.

`service` starts a run and is told when it is over. A run asks for a prompt, has the engine generate, turns the tokens
into output items and events, calls tools between generations, and writes every event into its log. A run never sends
anything: readers pull from the log. It never leaves a log without a terminal event, nor a request on the engine. Open
`run.py` first.
"""
