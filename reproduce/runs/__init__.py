"""Experiments, their records, and the code that runs them."""
