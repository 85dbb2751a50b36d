"""How fast is a ``.tflite`` file on an Android phone, as LiteRT's own ``benchmark_model`` measures it through ``adb``?

This package needs the standard library and `edgepack.runner` alone, so that it works on the command line's side and
inside the image of the mobile family: ``python3 -m edgepack.android``.
"""
