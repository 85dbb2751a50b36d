"""Saves the Keras 3 models that `test_keras3.py` reads: a program of its own, run without TF_USE_LEGACY_KERAS."""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import Input, Model, Sequential, layers, ops


def images() -> Model:
    """Layers for images, among them every activation that tf_keras defines otherwise or does not have."""
    x = inputs = Input((16, 16, 3), name="image")
    x = layers.Rescaling([1 / 127.5, 1 / 64, 1 / 100], offset=-1.0)(x)
    x = layers.Normalization(name="normalization")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="hard_silu", kernel_regularizer="l2", name="stem")(x)
    x = layers.BatchNormalization()(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu6")(x)
    x = layers.SeparableConv2D(6, 3, activation="hard_sigmoid")(x)
    x = layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="silu")(x)
    x = layers.ZeroPadding2D(((1, 0), (2, 1)))(x)
    x = layers.Cropping2D(((1, 0), (0, 1)))(x)
    x = layers.GroupNormalization(3)(x)
    x = layers.LayerNormalization(rms_scaling=False)(x)
    for function in ("leaky_relu", "log_sigmoid", "hard_tanh", "hard_sigmoid", "hard_silu", "relu6", "gelu", "mish"):
        x = layers.Activation(function)(x)
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.ReLU(max_value=4.0, negative_slope=0.1, threshold=0.01)(x)
    x = layers.ELU(0.7)(x)
    pooled = [layers.MaxPooling2D(3, 2)(x), layers.AveragePooling2D(3, 2)(x)]
    x = layers.Concatenate()([*pooled, layers.Subtract()(pooled), layers.Maximum()(pooled)])
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.Resizing(9, 9)(x)
    x = layers.SpatialDropout2D(0.1, seed=3)(layers.GaussianNoise(0.1)(x))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, layers.Conv2D(24, 1, activation="sigmoid")(gate)])
    x = layers.Permute((3, 1, 2))(x)
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    x = layers.UnitNormalization()(layers.Dense(12, activation="softplus")(x))
    x = layers.Softmax()(layers.Dense(5, activation="log_softmax")(x))
    return Model(inputs, [x, layers.Activation("softmax", dtype="float32")(gate)], name="images")


def sequences() -> Model:
    """Layers for sequences, recurrent ones and attention among them."""
    sound, words = Input((32, 4), name="sound"), Input((10,), dtype="int32", name="words")
    x = layers.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu")(sound)
    x = layers.BatchNormalization()(x)
    x = layers.SeparableConv1D(8, 5, padding="same")(x)
    x = layers.DepthwiseConv1D(3)(x)
    x = layers.MaxPooling1D(2)(x)
    x = layers.AveragePooling1D(2, padding="same")(layers.ZeroPadding1D(1)(x))
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True), name="both_ways")(x)
    x = layers.TimeDistributed(layers.Dense(6, activation="tanh"))(x)
    attended = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, attended]))
    x, state = layers.GRU(6, return_sequences=True, return_state=True)(x)
    x = layers.GlobalAveragePooling1D()(layers.SimpleRNN(4, return_sequences=True)(x))
    y = layers.Embedding(20, 6, mask_zero=True)(words)
    y = layers.LSTM(6)(y, initial_state=[state, state])
    y = layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)])(layers.RepeatVector(3)(y))
    joined = layers.Concatenate()([x, y, layers.Flatten()(layers.GlobalMaxPooling1D(keepdims=True)(sound))])
    return Model([sound, words], layers.Dense(3)(joined), name="sequences")


def nested() -> Model:
    """A model in a model in a model, called twice; a shared layer; two inputs."""
    inner = Sequential(
        [Input((6,)), layers.Dense(6, name="dense"), layers.BatchNormalization(name="norm")], name="inner"
    )
    entry = Input((6,))
    middle = Model(entry, layers.Add()([inner(entry), layers.Dense(6, name="dense")(entry)]), name="middle")
    left, right = Input((6,), name="left"), Input((6,), name="right")
    shared = layers.Dense(6, activation="hard_silu", name="shared")
    a, b = middle(shared(left)), middle(shared(right))
    return Model([left, right], layers.Dense(2, name="head")(layers.Concatenate()([a, b])), name="nested")


def operations() -> Model:
    """Every operation that is carried over, between layers."""
    x = inputs = Input((4, 6), name="x")
    positive = ops.abs(x) + 0.5
    found = [
        1 - x, x - 1.5, 2 * x, x / 3.0, 3.0 / positive, -x, positive**2, positive // 2, x + positive,
        x @ ops.transpose(x, (0, 2, 1)) @ x, ops.multiply(x, np.arange(6, dtype="float32")), ops.maximum(x, 0.1),
        ops.minimum(x, positive), ops.square(x), ops.sqrt(positive), ops.rsqrt(positive), ops.exp(-positive),
        ops.expm1(-positive), ops.log(positive), ops.log1p(positive), ops.tanh(x), ops.sigmoid(x), ops.relu(x),
        ops.relu6(x), ops.silu(x), ops.gelu(x), ops.gelu(x, approximate=False), ops.elu(x), ops.selu(x),
        ops.leaky_relu(x, 0.3), ops.softplus(x), ops.softsign(x), ops.hard_sigmoid(x), ops.hard_silu(x),
        ops.softmax(x, axis=1), ops.log_softmax(x), ops.log_sigmoid(x), ops.erf(x), ops.sin(x), ops.cos(x),
        ops.floor(x * 3), ops.ceil(x * 3), ops.round(x * 3), ops.sign(x), ops.reciprocal(positive),
        ops.clip(x, -0.5, 0.5), ops.reshape(x, (-1, 3, 8)), ops.expand_dims(x, 1), x[:, 1:3], x[:, ::2, 1],
        x[..., -1], ops.squeeze(ops.mean(x, axis=1, keepdims=True), axis=1), ops.sum(x, axis=(1, 2)),
        ops.max(x, axis=-1), ops.min(x, axis=1), ops.prod(x, axis=1), ops.logsumexp(x, axis=1),
        ops.stack([x, x], axis=1), ops.concatenate([x, positive], axis=-1), ops.pad(x, ((0, 0), (1, 2), (0, 0))),
        ops.tile(x, (1, 2, 1)), ops.repeat(x, 2, axis=1), *ops.split(x, 2, axis=1), ops.stop_gradient(x),
        ops.cast(ops.argmax(x, axis=1), "float32"), ops.absolute(x), ops.divide(x, positive),
        ops.true_divide(x, positive), ops.subtract(x, positive), ops.negative(x),
    ]  # fmt: skip
    made = [layers.Flatten()(value) if len(value.shape) > 1 else layers.Reshape((1,))(value) for value in found]
    return Model(inputs, layers.Concatenate()(made), name="operations")


def spoken() -> Sequential:
    """A small net for keyword spotting."""
    stack = [
        Input((49, 10), name="features"),
        layers.Conv1D(16, 5, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
        layers.Conv1D(16, 3, padding="causal", activation="relu"),
        layers.SeparableConv1D(24, 3, padding="same"),
        layers.MaxPooling1D(2),
        layers.GlobalAveragePooling1D(),
        layers.Dense(10, activation="softmax"),
    ]
    return Sequential(stack, name="spoken")


def mixed() -> Model:
    """Half-precision calls, as models trained on a GPU have them."""
    keras.config.set_dtype_policy("mixed_float16")
    inputs = Input((8, 8, 1))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(inputs))
    outputs = layers.Dense(3, dtype="float32")(x)
    keras.config.set_dtype_policy("float32")
    return Model(inputs, outputs, name="mixed")


def unsupported() -> Model:
    """Five things that tf_keras does not have, one of them inside a model."""
    x = inputs = Input((8, 8, 2))
    x = layers.RMSNormalization(name="rms")(x)
    inner = Sequential([Input((8, 8, 2)), layers.AdaptiveMaxPooling2D(4, name="adaptive")], name="inner")
    x = ops.cumsum(inner(x), axis=1)
    x = layers.Dense(3, activation="squareplus", name="odd")(x)
    x = layers.Lambda(lambda y: y * 2, name="code")(layers.Flatten()(x))
    return Model(inputs, layers.Dense(2, name="fine")(x), name="unsupported")


def randomise(model: Model) -> None:
    """Give every weight a value that no initializer would."""
    generator = np.random.default_rng(1)
    for weight in model.weights:
        if weight.dtype.startswith("float"):
            weight.assign(
                generator.uniform(0.05, 0.4, weight.shape)
                * generator.choice([1, 1, 1, -1], weight.shape) ** ("variance" not in weight.path)
            )


def main(folder: Path) -> None:
    """Save everything."""
    for build in (images, sequences, nested, operations, spoken, mixed, unsupported):
        keras.utils.set_random_seed(0)
        model = build()
        randomise(model)
        model.save(folder / f"{model.name}.keras")
        np.savez(folder / f"{model.name}.npz", *[np.asarray(weight) for weight in model.weights])
        if build is nested:
            model.save(folder / f"{model.name}.h5")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
