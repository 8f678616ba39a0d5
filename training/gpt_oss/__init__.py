"""A tiny gpt-oss that speaks Harmony, for tests with real vLLM; see README.md."""
