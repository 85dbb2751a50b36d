"""What runs inside the image and on the device, on the standard library, numpy and one runtime alone?"""
