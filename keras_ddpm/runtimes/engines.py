"""The runtimes: each turns the content of its files into a function (x_t, t, label) -> y of one row, on one thread."""

import importlib.util
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_ddpm.config import choose

Network = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""x_t float32 (1, H, W, C), t float32 (1,), label int32 (1,) -> y float32 (1, H, W, C)."""


def litert(content: bytes) -> Network:
    """LiteRT, formerly TensorFlow Lite."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    # "serving_default_x_t:0" -> x_t
    named = {d["name"].removeprefix("serving_default_").partition(":")[0]: d for d in interpreter.get_input_details()}
    places = [named[name]["index"] for name in ("x_t", "t", "label")]
    (out,) = interpreter.get_output_details()

    def network(*inputs):
        for place, value in zip(places, inputs):
            interpreter.set_tensor(place, value)
        interpreter.invoke()
        return interpreter.get_tensor(out["index"])

    return network


def onnx(content: bytes) -> Network:
    """ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda x_t, t, label: session.run(None, {"x_t": x_t, "t": t, "label": label})[0]


def openvino(content: bytes, weights: bytes) -> Network:
    """OpenVINO. Where the processor has bfloat16 it would compute in that, and draw other pictures."""
    import openvino as ov

    core = ov.Core()
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    model = core.compile_model(core.read_model(content, weights), "CPU", settings)
    call, out = model.create_infer_request(), model.outputs[0]
    return lambda x_t, t, label: np.array(call.infer({"x_t": x_t, "t": t, "label": label})[out])


class Engine(NamedTuple):
    """A runtime: the module it needs, how to install it, its files' suffixes, and its function."""

    module: str
    install: str
    suffixes: tuple[str, ...]
    open: Callable[..., Network]


ENGINES = {
    "litert": Engine("ai_edge_litert", "pip install 'keras_ddpm[lite]'", (".tflite",), litert),
    "onnx": Engine("onnxruntime", "pip install onnxruntime", (".onnx",), onnx),
    "openvino": Engine("openvino", "pip install openvino", (".xml", ".bin"), openvino),
}
"""The runtimes by name, the one to prefer first."""


def engine(name: str) -> Engine:
    """A runtime by its name.

    Raises:
        ValueError: for an unknown name; the error lists the choices.
    """
    return choose(ENGINES, name, "runtime")


def installed(name: str) -> bool:
    """Whether a runtime's package is there. Does not import it."""
    return importlib.util.find_spec(engine(name).module) is not None


def check_installed(name: str) -> None:
    """Raise unless a runtime's package is there.

    Raises:
        ValueError: saying how to install it.
    """
    if not installed(name):
        raise ValueError(f"`runtime` {name!r} is not installed: {engine(name).install}")
