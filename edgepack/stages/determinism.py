"""How far does the same seed give the same bits?"""


def make_deterministic(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, and refuse kernels whose result depends on thread timing.

    On one machine with one TensorFlow build the same seed then gives the same weights, bit for bit. Across CPU types
    it does not: vector width changes the order of sums. GPU kernels without a deterministic form raise an error.
    See https://www.tensorflow.org/api_docs/python/tf/config/experimental/enable_op_determinism.
    """
    import tensorflow as tf
    import tf_keras

    tf_keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
