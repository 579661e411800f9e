"""The options of the local server."""

import dataclasses
import math
import pathlib


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What the local server serves, where, and how much of it at once.

    Args:
        model_base_path: Folder of numbered versions.
        model_name: Name that requests must give.
        host: Address to listen at, IPv4 or IPv6; 0.0.0.0 and :: both mean every address of this machine, of both kinds.
        port: Port of gRPC; 0 takes a free one.
        rest_api_port: Port of REST; 0 takes a free one.
        queue: Requests that may wait, for each signature; more are refused with RESOURCE_EXHAUSTED.
        batch_rows: Most rows of several requests to run together; 0 runs one request after the other.
        timeout: Seconds for a request that brings no deadline, for sending a request or reading its response, and for
            running requests when the server stops.
        tensor_content: Answer numbers as raw bytes instead of in typed fields (gRPC).
        ssl_config_file: TLS on both ports, told as TensorFlow Serving is told: a text proto of SSLConfig.
        wait: Seconds to wait for a first version that loads.
        poll: Seconds between two looks for new versions.
        load_timeout: Seconds that loading one version may take.
    """

    model_base_path: pathlib.Path
    model_name: str = "ddpm"
    host: str = "127.0.0.1"
    port: int = 8500
    rest_api_port: int = 8501
    queue: int = 64
    batch_rows: int = 64
    timeout: float = 60.0
    tensor_content: bool = False
    ssl_config_file: pathlib.Path | None = None
    wait: float = 60.0
    poll: float = 1.0
    load_timeout: float = 300.0

    def check(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the option.
        """
        for name, least in (("port", 0), ("rest_api_port", 0), ("queue", 1), ("batch_rows", 0), ("wait", 0)):
            if not getattr(self, name) >= least:
                raise ValueError(f"`{name}` must be at least {least}. Received: {getattr(self, name)}")
        for name in ("timeout", "poll", "load_timeout"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must be above 0 and finite. Received: {getattr(self, name)}")
        if max(self.port, self.rest_api_port) > 65535:
            raise ValueError(f"ports must be at most 65535. Received: {self.port}, {self.rest_api_port}")
        if not self.model_name:
            raise ValueError("`model_name` must not be empty")
        if not pathlib.Path(self.model_base_path).is_dir():
            raise ValueError(f"`model_base_path` must be a folder. Received: {str(self.model_base_path)!r}")
