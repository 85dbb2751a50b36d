"""How does a first recipe come from a model, some samples and a few answers?"""
