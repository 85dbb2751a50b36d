"""A package, so that `python -m tests.fuzz` is this one: some distributions install a `tests` of their own."""
