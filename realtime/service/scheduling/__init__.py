"""Who is next, and why: the parts of `service.scheduler`. All of it is pure.

Open `tickets.py` first: what the scheduler is told. `turns` says whose turn it is: which tenant and class by their
`counters`, which of its responses by its `line`, within the `limits` and what the engine has `room` for. `waiting`,
`groups` and `put_aside` hold what does not run, `accounts` who pays for what, `allowances` a tenant's minute.
`making_room` picks what is put aside for others. `places` tells those that wait how long that will be: by a `forecast`,
in the order that `plan` plays through.
"""
