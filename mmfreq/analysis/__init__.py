"""Reports about networks: their cost, their speed, and what their filters have learned."""
