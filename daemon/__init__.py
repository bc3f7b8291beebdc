"""The process that owns the memory: composition, use cases, API, models, mirror."""

import os

# Read when numpy is first imported. More threads would spin on cores that others need: on two busy ones, one thread
# multiplies four times faster.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
