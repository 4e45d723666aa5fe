"""How each published baseline is made from its publisher's tables: one file per publisher."""
