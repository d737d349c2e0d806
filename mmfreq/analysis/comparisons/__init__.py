"""What runs of several networks say together: means over seeds, differences, tables."""
