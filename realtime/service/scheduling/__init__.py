"""The parts of `service.scheduler`, which decide who is next. All of them are pure. Open `tickets.py` first: the input
of the scheduler.

`turns` picks the next response: its class and tenant by their `counters`, the response within a tenant by its `line`,
within the `limits` and the `room` of the engine. `waiting`, `groups` and `put_aside` hold what does not run, `accounts`
records who pays for what, and `allowances` a tenant's usage per minute. `making_room` picks the responses that are put
aside for others. `places` tells waiting responses how long they will wait: by a `forecast`, in the order that `plan`
simulates.
"""
