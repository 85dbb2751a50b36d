"""One file per artifact format; the file name is the name in ``export: [{format: <name>}]``."""
