"""Conformance cases, and a runner that plays them against a client in any language: README.md has the protocol."""
