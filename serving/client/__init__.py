"""A client of TensorFlow Serving: `from serving.client import Client`.

It imports nothing else of this project, and TensorFlow only for a gRPC address.
"""

from . import errors
from .client import Client
from .tls import TLS

__all__ = ["TLS", "Client", "errors"]
