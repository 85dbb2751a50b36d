"""Which learning rate, and which momentum, does each step have?

One file is one course: `Config` with its keys, `rate(config, peak, span)` for the learning rate and, where the paper
moves the momentum too, `momentum(config, span)`. Warm-up and scaling with the batch size go with any of them:
`edgepack.training.course`.
"""
