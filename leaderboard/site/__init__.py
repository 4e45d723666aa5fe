"""The board as a static site: works from a file without a network, the same bytes from the same entries."""
