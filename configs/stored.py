"""Config read from a file, for example that of an earlier run.

Command: python -m experiments.train --config=configs/stored.py:RUN/config.json --workdir=AGAIN
"""

import json
import pathlib

import ml_collections


def get_config(path):
    return ml_collections.ConfigDict(json.loads(pathlib.Path(path).read_text(encoding="utf-8")))
