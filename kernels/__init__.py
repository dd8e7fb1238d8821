"""Operations over arrays: each file holds one formula, its NumPy twin and its fast kernel."""
