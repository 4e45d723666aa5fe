"""One file per entry; modules here are found and imported by the registry."""
