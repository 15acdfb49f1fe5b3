"""The commands that draw no page."""
