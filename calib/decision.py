"""What a calibrated router says of one query."""

from dataclasses import dataclass

from routecal.calib.policy import DEFAULT_MAP, POLICIES, Policy
from routecal.calib.promise.guarantee import Guarantee


@dataclass(frozen=True)
class Decision:
    """What to do with one query.

    Attributes:
        policy: the router's own decision, never changed.
        confidence: P(the policy is right), in [0, 1].
        escalate: by confidence, that it is below the threshold; by the gain, that the large model serves: that the gain
            per relative extra cost is above the threshold.
        head_version: of the head that said so.
        threshold: that confidence or gain was compared with.
        truncated: the query was longer than what is read of one; its middle part was not read.
        gain: P(large model right) - P(medium model right), in [-1, 1]; None where the folder holds no outcome head.
        medium_right, large_right: the two, in [0, 1].
        decides_by: whether `threshold` is one of the "confidence" or of the "gain".
        guarantee: what is promised for the threshold, as long as that holds.
        no_guarantee: why nothing is promised, in a sentence; empty where something is.
        models: names of the models that serve the three policies, in the order of `Policy`.
        unlikeness: how far the query lies from those of the calibration, in units of the distance within which all but
            a few of them lie; None where the folder does not tell.
    """

    policy: Policy
    confidence: float
    escalate: bool
    head_version: str
    threshold: float
    truncated: bool = False
    gain: float | None = None
    medium_right: float | None = None
    large_right: float | None = None
    decides_by: str = "confidence"
    guarantee: Guarantee | None = None
    no_guarantee: str = ""
    models: tuple[str, ...] = tuple(DEFAULT_MAP.models.values())
    unlikeness: float | None = None

    @property
    def is_unlike(self) -> bool:
        """Whether the query is unlike those of the calibration, so that nothing is known of its confidence."""
        return self.unlikeness is not None and self.unlikeness > 1

    @property
    def medium_enough(self) -> float:
        """Probability that the medium model is enough: that the policy is right where the map keeps it, else the rest.

        >>> Decision(Policy.COMPLEX, 0.75, False, "", 0.1).medium_enough
        0.25
        """
        _, large, _ = self.models
        is_kept = self.models[POLICIES.index(self.policy)] != large
        return self.confidence if is_kept else 1 - self.confidence

    @property
    def served_by(self) -> str:
        """ "large" or "medium".

        By confidence large where the map sends the policy there or doubt escalates, as `calib.escalation` counts it; by
        the gain large where `escalate` says so, so that a complex query may go to the medium model.

        >>> Decision(Policy.AMBIGUOUS, 0.4, True, "", 0.5).served_by
        'large'
        >>> Decision(Policy.COMPLEX, 0.9, False, "", 0.1, gain=0.02, decides_by="gain").served_by
        'medium'
        """
        _, large, _ = self.models
        is_kept_up = self.decides_by == "confidence" and self.models[POLICIES.index(self.policy)] == large
        return "large" if self.escalate or is_kept_up else "medium"

    @property
    def model(self) -> str:
        """Name of the model to call, as the policy map has it.

        >>> Decision(Policy.COMPLEX, 0.9, False, "", 0.1).model
        'large'
        """
        medium, large, _ = self.models
        return large if self.served_by == "large" else medium
