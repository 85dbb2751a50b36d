"""One file per data source; the file name is the key in the recipe's ``data`` section."""
