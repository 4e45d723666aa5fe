"""What a bundle must keep: one function for each named check, ``problems`` in and out as words."""
