"""Parameters, operations and memory of networks, beside published numbers."""
