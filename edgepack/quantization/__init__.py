"""Where fake quantisation goes in a model, what it does there, and how its ranges are set."""
