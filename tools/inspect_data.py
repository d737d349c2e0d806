"""Look at images and masks, or a COCO file: the same as ``mmfreq inspect``."""

from mmfreq.commands.inspect import main

if __name__ == '__main__':
    main()
