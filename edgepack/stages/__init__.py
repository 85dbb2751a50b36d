"""One file per stage that runs in a process of its own; each answers: what does it read, what does it write?"""
