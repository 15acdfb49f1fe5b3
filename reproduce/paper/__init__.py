"""What the paper and its successors published, as data."""
