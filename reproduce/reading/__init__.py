"""From a click log to a split: formats, the paper's rules, the cache."""
