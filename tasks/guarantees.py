"""Guarantees on their way from the labelled rows, which they are made from, to the folder that they are served with."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from routecal.calib.escalation import Outcomes
from routecal.calib.need import Threshold, kept
from routecal.calib.promise.asked import Promise
from routecal.calib.promise.guarantee import Bound, Guarantee
from routecal.calib.settings import EscalationTerms


class Basis(BaseModel, frozen=True):
    """What a promise was made from, as far as only the labelled rows know it."""

    promise: Promise = Field(description="risk, level and probability")
    n: int = Field(description="labelled queries")
    threshold: Threshold = Field(description="of the need")
    kept: float = Field(description="share of the labelled queries that stay on the medium model")
    needs_sha256: str = Field(description="of their needs, which the threshold was walked along")
    labels_sha256: str = Field(description="of their true policies and grades")


def basis_of(
    need: NDArray[np.float64],
    true_policy: NDArray[np.int64],
    outcomes: Outcomes,
    terms: EscalationTerms,
    threshold: float,
) -> Basis | None:
    """What a guarantee of this threshold rests on; None where no promise was asked for.

    Args:
        need: (n,) of the labelled rows.
        true_policy: (n,) index into `POLICIES`.
        outcomes: of the same rows.
        terms: what was asked.
        threshold: that the labelled rows chose for it.
    """
    if not terms.is_promise:
        return None
    return Basis(
        promise=Promise(risk=terms.risk, at_most=terms.at_most, probability=terms.probability),
        n=len(need),
        threshold=threshold,
        kept=float(kept(need, threshold).mean()),
        needs_sha256=_sha256(need),
        labels_sha256=_sha256(true_policy, outcomes.medium_right, outcomes.large_right),
    )


def guarantee_of(basis: Basis, bound: Mapping[str, str]) -> Guarantee:
    """The guarantee as it is packed now.

    Args:
        basis: what it was made from.
        bound: sha256 of the parts that the folder holds, see `calib.packed_folder.bound_to`.
    """
    return Guarantee(
        promise=basis.promise,
        n=basis.n,
        threshold=basis.threshold,
        kept=basis.kept,
        bound=Bound(needs=basis.needs_sha256, labels=basis.labels_sha256, **bound),
        made_at=datetime.now(UTC),
    )


def _sha256(*columns: NDArray[np.generic]) -> str:
    digest = hashlib.sha256()
    for column in columns:
        digest.update(np.ascontiguousarray(column, np.float64).tobytes())
    return digest.hexdigest()
