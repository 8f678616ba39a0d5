"""Memory: the stores that keep everything in this process, bounded in bytes and in time, and lose it with the process.
Open `stores.py` first.
"""
