"""Speed and memory on the machine at hand; every line of output says which machine that is."""
