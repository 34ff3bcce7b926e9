"""Getting data in and products out; the only package that imports Prefect."""
