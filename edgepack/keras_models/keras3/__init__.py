"""The way in for models of Keras 3: read in a process of its own, rebuilt in tf_keras, proved equal."""
