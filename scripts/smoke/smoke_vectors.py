"""A model loads from a folder, by the backend that is named, and gives the vectors that it should.

smoke_vectors.py FOLDER BACKEND VECTOR
"""

import json
import sys

import numpy as np

from trivec import load_encoder

folder, backend, expected = sys.argv[1:]
(encoding,) = load_encoder(folder, backend=backend, precision="fp32").encode_queries(["the river"])
np.testing.assert_allclose(encoding.dense, json.loads(expected), atol=1e-4)
