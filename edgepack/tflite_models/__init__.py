"""Reading ``.tflite`` files: what is stored in them, and in which number format do they compute?"""
