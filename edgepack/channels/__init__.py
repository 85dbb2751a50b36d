"""How are whole channels taken out of a model: which belong together, which matter, what is left of the weights?"""
