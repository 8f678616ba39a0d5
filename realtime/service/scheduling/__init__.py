"""Who is next, and why: the parts of `service.scheduler`. All of it is pure.

Open `tickets.py` first: what the scheduler is told. `counters` says which tenant, `line` which of its responses, `room`
whether the engine can hold one more, `allowances` whether a tenant has used up its minute, and `forecast` how long the
others will wait, in the order that `plan` plays through.
"""
