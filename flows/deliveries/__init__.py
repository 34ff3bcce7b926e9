"""Municipalities' own files: from the hand-in to receipts and the restricted store."""
