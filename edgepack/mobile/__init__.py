"""What does an app on a phone need of a bundle?"""
