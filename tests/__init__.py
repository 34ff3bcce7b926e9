"""The tests, and what is measured, attacked and broken on purpose.

One thread of linear algebra per process, as the command has it: the matrices are small, and processes side by side
would wait for each other's threads.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
