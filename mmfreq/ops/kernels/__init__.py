"""What computes the operations: one module for each backend, chosen by tables of the operations."""
