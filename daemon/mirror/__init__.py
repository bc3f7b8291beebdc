"""Keeps the vault's files and the documents in agreement."""
