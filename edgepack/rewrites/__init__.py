"""Which changes of a model's structure keep its function, and let more of it be quantised or pruned?

One file is one rewrite: ``SCOPE`` says for whom (``structure`` for every technique, ``quantisation`` for training in
8 bits), ``apply(graph)`` changes a `Graph` in place and returns a `Change` for each application. A node's configuration
and weights are replaced, never changed in place. `edgepack.keras_models.rewriting` runs and proves them.
"""
