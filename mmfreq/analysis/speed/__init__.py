"""Speed and memory of networks and operations, measured side by side."""
