"""From logits to token ids: filters, draws, grammars; no model, no text but the bytes of tokens."""
