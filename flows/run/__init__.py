"""One night, in order: fetch, build, check, publish, and what is kept on record of it."""
