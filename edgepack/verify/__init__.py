"""Does an artifact say what the model says, and is that good enough?"""
