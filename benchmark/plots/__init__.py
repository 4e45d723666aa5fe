"""Figures from stored results: Matplotlib for print, one self-contained page to explore."""
