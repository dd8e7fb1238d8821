"""Architecture, state, the token loop and the public API."""
