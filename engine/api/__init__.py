"""LM Studio's Python names over the engine, in process: `gnomon` lists the public ones."""
