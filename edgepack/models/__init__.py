"""One file per model source; the file name is the key in the recipe's ``model`` section."""
