"""Statistics Denmark's StatBank: its API, and its files downloaded by hand."""
