"""What can be built into firmware? One file for each kind of source package, named in a target by the file's name."""
