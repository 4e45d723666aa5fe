"""Tune a model that is there: stages as data, to be planned, trained, cached and resumed like any recipe."""
