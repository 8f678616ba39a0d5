"""The chat page at `/`: static files of this package and the JavaScript client, served from memory.

`app` adds its routes if the setting `page` is on. `site/` has the page: plain ES modules that a browser runs unchanged.
It never knows what a response is; everything that the page shows comes to it through the API, as to any client. Open
`files.py` first: it lists the files and their names.
"""
