"""Lexer, parser and trie walk of the grammars: typed arrays in, typed arrays out."""
