"""The `kommunekort` command: words in, words out."""
