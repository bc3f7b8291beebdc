"""Texts to vectors: a model in a child process, or one that is reached by HTTP."""
