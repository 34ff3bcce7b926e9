"""The commands of `kommunekort`, one module per family; `flows.cli` puts them together."""
