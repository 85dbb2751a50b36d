"""One file per method of feature selection; the file name is what ``data.select_features.use`` says."""
