"""The sub-commands of ``mmfreq``; ``tools/*.py`` run the same functions."""
