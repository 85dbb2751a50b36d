"""What edgepack knows about ONNX graphs as such."""
