"""One file per tracker of experiments; the file name is the name in ``tracking: [{use: <name>}]``."""
