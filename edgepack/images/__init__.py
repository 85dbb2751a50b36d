"""How does a bundle become a container image, without a network and byte for byte the same?"""
