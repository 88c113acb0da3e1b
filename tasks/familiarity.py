"""What the queries of a calibration look like, so that serving can tell a query that is unlike them."""

from pathlib import Path

import numpy as np

from routecal.calib.errors import TooFewExamples
from routecal.calib.head import load
from routecal.calib.head.familiarity import Familiarity
from routecal.storage.artifact import Artifact
from routecal.storage.folder_artifact import local_folder, write_folder
from routecal.storage.layout import Home
from routecal.tasks.cache import step
from routecal.tasks.load_examples import load_examples

# Learnt on these rows, and held to those; test rows have no say.
LEARNT, HELD_TO = ("train",), ("calibration", "validation")


@step("familiarity", "learn what {examples.rows} queries look like", on=("calib.head.familiarity",))
def fit_familiarity(examples: Artifact, features: Artifact, head: Artifact) -> Artifact | None:
    """A folder with the file that `CalibratedRouter` reads beside a head; None where the queries are too few.

    Args:
        examples, features: that the head was trained on.
        head: whose blocks are looked at.
    """
    rows = load_examples(examples, features, blocks=load(local_folder(head)).blocks)
    states = rows.hidden.astype(np.float64)
    try:
        found = Familiarity.fit(states[np.isin(rows.split, LEARNT)], states[np.isin(rows.split, HELD_TO)])
    except TooFewExamples:
        return None

    def build(folder: Path) -> None:
        found.save(folder)

    return write_folder("familiarity", build, home=Home.from_env())
