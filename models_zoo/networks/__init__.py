"""Architectures written here, because no library ships them."""
