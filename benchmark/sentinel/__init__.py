"""The sentinel: a result of a known model off its published number, and what explains it.

``published`` knows the figures, ``verdict`` compares a result with them (both cheap, both without torch);
``variants`` says what else could have been done, ``trial`` does it on a sample of the images, and
``judging`` says which of it explains the gap. Nothing is claimed that was not measured.
"""
