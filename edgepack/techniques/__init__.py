"""One file per compression technique; the file name is the name in ``compress: [{use: <name>}]``."""
