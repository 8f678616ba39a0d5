"""The wire, ground floor, pure: what is said on a socket, and in which order. Knows nothing of how it gets there."""
