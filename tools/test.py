"""Evaluate a checkpoint of a segmentor, detector or classifier: the same as ``mmfreq test``."""

from mmfreq.commands.test import main

if __name__ == '__main__':
    main()
