"""What edgepack knows about tf_keras models as such: load, save, inspect, annotate."""
