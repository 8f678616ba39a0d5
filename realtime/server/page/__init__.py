"""The chat page at `/`: static files of this package and the JavaScript client, served from memory.

`app` adds its routes where the setting `page` is on. `site/` has the page: plain ES modules that a browser runs as they
are. It never knows what a response is; everything that the page shows comes to it through the API like any client's.
Open `files.py` first: it says which files there are and by which names.
"""
