"""The steps of a run under Prefect."""
