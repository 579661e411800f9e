"""The runtimes: each turns the content of its files into a function of named inputs, one row of each, on one thread."""

import importlib.util
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from keras_ddpm.config import choose

Network = Callable[[Mapping[str, np.ndarray]], np.ndarray]
"""x_t float32 (1, H, W, C), t float32 (1,), label int32 (1,) and each attribute float32 (1,), NaN where it is not given
-> y float32 (1, H, W, C)."""


def litert(content: bytes) -> Network:
    """LiteRT, formerly TensorFlow Lite."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    # "serving_default_x_t:0" -> x_t
    named = {d["name"].removeprefix("serving_default_").partition(":")[0]: d for d in interpreter.get_input_details()}
    (out,) = interpreter.get_output_details()

    def network(inputs):
        for name, value in inputs.items():
            interpreter.set_tensor(named[name]["index"], value)
        interpreter.invoke()
        return interpreter.get_tensor(out["index"])

    return network


def onnx(content: bytes) -> Network:
    """ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


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
    return lambda inputs: np.array(call.infer(inputs)[out])


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
