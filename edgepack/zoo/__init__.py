"""One file per architecture family; the file name is the name in ``model: {zoo: <name>}``."""
