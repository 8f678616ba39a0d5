"""Service: what every door calls - create, resume, cancel, follow - and what decides before anything starts.

It answers which responses exist, whose they are, and who is next. The doors call it with a `Principal`; it starts
runs and owns their tasks (`run_tasks.py`). It looks up, then decides and starts at once (`creation.py`); what takes
time happens in a run. It knows no sockets and no frames, and it never touches the engine itself. Open `service.py`
first.
"""
