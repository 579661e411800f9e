"""The two wires: gRPC and REST, the connections they come over, and TLS around them."""
