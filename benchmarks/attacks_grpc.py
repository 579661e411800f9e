"""Malformed requests over gRPC: valid ones with something broken, and bytes that are no request at all.

Some of them are still valid; what is answered then must be what the model answers in a session.
"""

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

from benchmarks.attacks_doors import PREDICT, predict_message, read_answer

SERVICE = "/tensorflow.serving"
METHODS = [
    *(f"{SERVICE}.PredictionService/{name}" for name in ("Predict", "GetModelMetadata", "Classify", "MultiInference")),
    *(f"{SERVICE}.ModelService/{name}" for name in ("GetModelStatus", "HandleReloadConfigRequest")),
    f"{SERVICE}.PredictionService/Nope",
    "/grpc.health.v1.Health/Check",
    "/",
]
CHEAP = {"metadata": 6, "denoise": 3, "sample": 1, "sample_png": 1, "trajectory": 1}  # how often each is the victim
DTYPES = sorted(types_pb2.DataType.values())
SIZES = (-(2**63), -1, 0, 1, 3, 64, 65, 10**5, 2**20, 2**31, 2**40, 2**62, 2**63 - 1)
WORDS = ("", "ddpm", "nope", "a" * 5000, "é✓", "\0", "../../etc", "{}", "%s%n", "digit", "serving_default")


def valid_inputs(random, signature):
    """Inputs that a signature takes, 1 to 4 rows."""
    n = int(random.integers(1, 5))
    inputs = {
        "digit": random.integers(0, 10, n).astype("int32"),
        "w": random.normal(2, 1, n).astype("float32"),
        "seed": random.integers(0, 2**63 - 1, n),
    }
    if signature == "metadata":
        return {"digit": inputs["digit"]}
    if signature == "denoise":
        del inputs["seed"]
        inputs["t"] = random.integers(0, 10, n).astype("int32")
        inputs["x_t"] = random.normal(size=(n, 28, 28, 1)).astype("float32")
    return inputs


def victim(random):
    """A valid PredictRequest to break."""
    weights = np.array(list(CHEAP.values()))
    signature = str(random.choice(list(CHEAP), p=weights / weights.sum()))
    return predict_message(valid_inputs(random, signature), signature=signature)


def malformed(random):
    """One request of the fuzzer.

    Args:
        random: NumPy generator.

    Returns:
        Method and bytes.
    """
    kind = random.choice(["broken", "flipped", "cut", "noise"], p=[0.6, 0.2, 0.1, 0.1])
    if kind == "noise":
        return str(random.choice(METHODS)), random.bytes(int(random.integers(0, 2000)))
    request = victim(random)
    if kind == "broken":
        for _ in range(random.integers(1, 4)):
            BREAKS[random.integers(len(BREAKS))](request, random)
        return PREDICT, request.SerializeToString()
    message = request.SerializeToString()
    if kind == "cut":
        return PREDICT, message[: random.integers(len(message))]
    return PREDICT, flip(message, random)


def flip(message, random):
    """Bytes with a few of them changed."""
    message = bytearray(message)
    for place in random.integers(0, len(message), random.integers(1, 8)):
        message[place] = random.integers(256)
    return bytes(message)


def random_tensors(random):
    """A PredictRequest whose tensors hold random bytes, of the right length half of the time."""
    request = victim(random)
    for tensor in request.inputs.values():
        array = tf.make_ndarray(tensor)
        right = random.random() < 0.5
        if not right:
            tensor.dtype = int(random.choice(DTYPES))
        tensor.ClearField("int_val")
        tensor.tensor_content = random.bytes(array.nbytes if right else int(random.integers(1, 4096)))
    return PREDICT, request.SerializeToString()


def check_right(truth, tally, message, answer):
    """A request that was answered must be one that TensorFlow can read, and the answer the model's.

    Args:
        truth: attacks_target.Truth.
        tally: Tally.
        message: Bytes of the PredictRequest.
        answer: Answer to it.
    """
    request = predict_pb2.PredictRequest.FromString(message)
    signature = request.model_spec.signature_name or "serving_default"
    try:
        inputs = {alias: _parsed(tensor) for alias, tensor in request.inputs.items()}
        right = truth.agrees(signature, inputs, read_answer(answer.body))
    except Exception as error:
        tally.fault(f"{signature} was answered, but {type(error).__name__}: {error}"[:300])
    else:
        if not right:
            tally.fault(f"a wrong answer of {signature} to {inputs}"[:300])


def _parsed(tensor):
    """A tensor by the runtime's reader, which takes more than `tf.make_ndarray`."""
    return tf.io.parse_tensor(tensor.SerializeToString(), tensor.dtype).numpy()


def _dtype(request, random):
    _tensor(request, random).dtype = int(random.choice([*DTYPES, 77, -1]))


def _shape(request, random):
    shape = _tensor(request, random).tensor_shape
    if random.random() < 0.2:
        shape.unknown_rank = True
    if random.random() < 0.5 or not shape.dim:
        for _ in range(random.choice([1, 2, 70, 300])):
            shape.dim.add(size=int(random.choice(SIZES)), name=str(random.choice(WORDS)))
    else:
        shape.dim[random.integers(len(shape.dim))].size = int(random.choice(SIZES))


def _content(request, random):
    tensor = _tensor(request, random)
    content = tensor.tensor_content or b"\0\0\0\0"
    short = content[: random.integers(len(content))]
    tensor.tensor_content = [short, content + b"x", content[:1000] * 1000][random.integers(3)]


def _values(request, random):
    tensor = _tensor(request, random)
    tensor.ClearField("tensor_content")
    number, n = float(random.choice([np.nan, np.inf, -1, 10, 2**31 - 1, 1e38])), int(random.choice([0, 1, 5, 65, 5000]))
    integer = int(number) if abs(number) < 2**31 else -5
    tensor.float_val[:], tensor.int_val[:], tensor.int64_val[:] = [number] * n, [integer] * n, [integer] * n
    tensor.string_val[:], tensor.bool_val[:] = [random.bytes(9)] * n, [True] * (n % 3)


def _names(request, random):
    name = str(random.choice(WORDS))
    if random.random() < 0.5 and request.inputs:
        old = str(random.choice(sorted(request.inputs)))
        request.inputs[name].CopyFrom(request.inputs[old])
        if random.random() < 0.7 and name != old:
            del request.inputs[old]
    else:
        request.inputs[name].CopyFrom(tf.make_tensor_proto([1]))


def _spec(request, random):
    spec, word = request.model_spec, str(random.choice(WORDS))
    choice = random.integers(5)
    if choice == 0:
        request.ClearField("model_spec")
    elif choice == 1:
        spec.name = word
    elif choice == 2:
        spec.version.value = int(random.choice([*SIZES]))
    elif choice == 3:
        spec.version_label = word
    else:
        spec.signature_name = word


def _filter(request, random):
    request.output_filter.extend(random.choice(["image", "eps", "metadata", *WORDS], random.integers(1, 4)).tolist())


def _tensor(request, random):
    return request.inputs[str(random.choice(sorted(request.inputs) or ["digit"]))]


BREAKS = [_dtype, _shape, _content, _values, _names, _spec, _filter]
