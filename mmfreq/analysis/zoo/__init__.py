"""The model zoo: what is measured for it, its metafiles and its tables."""
