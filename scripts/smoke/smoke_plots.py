"""A cookbook that draws runs, as a program.

smoke_plots.py COOKBOOK
"""

import os
import runpy
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

mpl.use("Agg")
cookbook = Path(sys.argv[1])
os.chdir(cookbook.parent)
runpy.run_path(str(cookbook))
assert plt.get_fignums()
