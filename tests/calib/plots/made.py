"""What the tests of several plots draw."""

import numpy as np

from routecal.calib.learn.training_loop import StepLog

RNG = np.random.default_rng(0)
P = RNG.beta(6, 2, 2000)
Y = (RNG.random(2000) < P).astype(float)
PNG = b"\x89PNG\r\n"


def logs(stage: str, n: int, **terms: float) -> list[StepLog]:
    """n steps of one stage; every eighth ends an epoch."""
    return [
        StepLog(
            stage=stage,
            step=i + 1,
            epoch=i // 8 + 1,
            loss=0.2,
            terms=terms,
            reward=0.8 if stage == "rl" else None,
            mean_p=0.7,
            std_p=0.1 + i / 1000,
            validation_brier=0.2 - i / 10_000 if i % 8 == 7 else None,
        )
        for i in range(n)
    ]
