"""Functions of a uint8 batch: corruptions, tints, geometry, and selections of examples."""
