"""Runs: the life of one response, from the decision to start it to its terminal event.

`service` starts a run and is told when it is over. A run asks for a prompt, has the engine generate, turns what comes
into output items and events, calls tools between generations, and writes every event into its log. It never sends
anything to anybody: readers pull the log. It never leaves a log without a terminal event, or a slot on the engine
behind. Open `run.py` first.
"""
