"""Scores to ranks, ranks to numbers, and how sure a number is."""
