"""MCP within a response: servers whose tools the model may call while its response goes on.

A run calls it before its first generation, to list the tools, and between two generations, to call them. It owns the
sessions with the servers and ends them with the response. Which tools a request may use is decided in
`context/mcp_tools.py`; here is what takes time. It trusts nothing that a server sends, neither its size nor its form.
Open `stage.py` first.
"""
