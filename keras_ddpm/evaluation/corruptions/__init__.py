"""Images that are known to be wrong, to try metrics and judges on."""
