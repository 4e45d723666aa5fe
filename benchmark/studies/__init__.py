"""Studies of the literature: one file per question, run by ``robustbench-shift study NAME``."""
