"""Outside bytes and text to arrays: GGUF files, vocabularies, chat templates.

NumPy and plain Python; nothing here imports another room.
"""
