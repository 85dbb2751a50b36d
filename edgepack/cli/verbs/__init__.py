"""One file per verb; the file name is the verb, its function `command` is what it does."""
