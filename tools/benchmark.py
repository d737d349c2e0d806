"""Measure speed and memory of networks, side by side: the same as ``mmfreq benchmark``."""

from mmfreq.commands.benchmark import main

if __name__ == '__main__':
    main()
