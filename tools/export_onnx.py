"""Write a network as an ONNX file: the same as ``mmfreq export``."""

from mmfreq.commands.export import main

if __name__ == '__main__':
    main()
