"""What comes out: predictions, metrics, results, effective robustness, studies, the command line."""
