"""The door of Anthropic's Messages API: `POST /v1/messages`, translated to a create and back, and its `count_tokens`.

Nothing is decided here. `requests.py` has the form of a request, `history.py` and `translation.py` make a create of it,
`streams.py` makes a stream's events of a response's, `answers.py` a message of the whole response, and `errors.py` puts
errors into Anthropic's form. Open `door.py` first: it connects them.
"""
