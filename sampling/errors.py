"""Errors of sampling: what stops a token from being picked."""


class SamplingError(ValueError):
    """Logits that cannot be sampled, or a call that does not fit; one clear sentence."""
