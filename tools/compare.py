"""Train several networks under one recipe and compare them: the same as ``mmfreq compare``."""

from mmfreq import preemption

if __name__ == '__main__':
    preemption.listen()  # before the imports that take seconds

from mmfreq.commands.compare import main

if __name__ == '__main__':
    main()
