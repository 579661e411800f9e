"""Functions in a Keras configuration: by their registered name, with the arguments that `functools.partial` bound.

Keras serialises objects; a sampler, a guidance or a weighting is a function. Your own has to be registered once:
`keras.saving.register_keras_serializable("my_package")(my_sampler)`.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras

PACKAGE = "keras_ddpm"


def register(*functions: Callable) -> None:
    """Register functions for Keras under their module's name and their own, such as "samplers.ddpm"."""
    for function in functions:
        name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        keras.saving.register_keras_serializable(PACKAGE, name)(function)


def serialize(function: Callable) -> dict[str, Any]:
    """A registered function, or a partial of one, as plain values.

    Raises:
        ValueError: if the function is not registered.
    """
    inner, bound = (function.func, function.keywords) if isinstance(function, functools.partial) else (function, {})
    name = keras.saving.get_registered_name(inner)
    if keras.saving.get_registered_object(name) is not inner:
        raise ValueError(
            f"`{getattr(inner, '__name__', inner)}` must be registered before it can be saved: "
            "keras.saving.register_keras_serializable(package)(function)"
        )
    return {"function": name, "arguments": {k: keras.saving.serialize_keras_object(v) for k, v in bound.items()}}


def deserialize(config: dict[str, Any]) -> Callable:
    """The function that `serialize` described.

    Raises:
        ValueError: if no function of this name is registered.
    """
    function = keras.saving.get_registered_object(config["function"])
    if function is None:
        raise ValueError(f"No function is registered as {config['function']!r}: import the module that registers it")
    bound = {name: keras.saving.deserialize_keras_object(value) for name, value in config["arguments"].items()}
    return functools.partial(function, **bound) if bound else function
