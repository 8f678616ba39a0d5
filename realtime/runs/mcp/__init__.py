"""MCP within a response: servers whose tools the model may call while its response runs.

A run lists the tools before its first generation, and calls them between two generations. It owns the sessions with the
servers, and ends them with the response. `context/mcp_tools.py` decides which tools a request may use; this package
does the I/O. It trusts nothing that a server sends, neither its size nor its form. Open `stage.py` first.
"""
