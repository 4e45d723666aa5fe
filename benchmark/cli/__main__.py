"""``python -m benchmark.cli``: the same program without its script on the path."""

from benchmark.cli import main

main()
