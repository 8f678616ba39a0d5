"""Adapters for agent and voice frameworks. Each module needs its framework, which an extra of this package installs:
`openai`, `pydantic-ai`, `openai-agents`, `langchain`, `pipecat`, `livekit`.
"""
