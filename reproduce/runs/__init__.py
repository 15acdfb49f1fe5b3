"""A cause, its record, and who runs it."""
