"""Dialects: one module for each way in which models are spoken to."""
