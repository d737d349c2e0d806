"""Segment, detect or classify images, into a folder: the same as ``mmfreq predict``."""

from mmfreq.commands.predict import main

if __name__ == '__main__':
    main()
