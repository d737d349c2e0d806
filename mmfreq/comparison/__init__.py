"""Backbones trained under one recipe, with several seeds, and what came of it."""
