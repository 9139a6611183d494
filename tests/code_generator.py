"""Which of XLA's code generators compiles the tests' programs.

They are thousands of small ones, for each of which the older generator of jaxlib 0.10 takes less
than half the processor time. Later versions have the newer one alone, and end at an unknown flag.
"""

import importlib.metadata

FLAG = "xla_cpu_use_fusion_emitters"
HAS_BOTH = importlib.metadata.version("jaxlib").startswith("0.10.")
# Compiler options of programs whose memory is measured: a user's have the newer generator.
DEFAULT = {FLAG: True} if HAS_BOTH else {}
