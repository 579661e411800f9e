"""One experiment a file: `get_config()` returns its `keras_ddpm.config.Config`."""
