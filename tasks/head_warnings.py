"""What of an evaluation a person must know before they use the head, in plain sentences."""

from routecal.calib.examples import WARN_BELOW
from routecal.calib.metrics import Estimate
from routecal.calib.policy import Policy
from routecal.tasks.evaluate import Evaluation

_GOES_TO = {Policy.STANDARD: "the medium model", Policy.COMPLEX: "the large model", Policy.AMBIGUOUS: "neither model"}


def head_warnings(evaluation: Evaluation) -> list[str]:
    """What speaks against the last method; empty if nothing does.

    Says where the router sends every test query one way, where confidence does not rank decisions (the interval of
    AUROC reaches down to 1/2), where it is not shown to be better than a constant (the interval of the Brier skill
    reaches down to 0), and where labels are few.
    """
    name, last = list(evaluation.methods.items())[-1]
    found = [] if last.level == 0.95 else [_few(last.level)]
    found += _one_policy(evaluation)
    if last.auroc is not None and last.auroc.low <= 0.5:
        found.append(f"{_ranking(last.auroc)}: AUROC {last.auroc:.3f}, where 0.5 is chance.")
    if last.brier_skill is not None and last.brier_skill.low <= 0:
        found.append(_against_a_constant(name, last.accuracy, last.brier_skill))
    return found


def _few(level: float) -> str:
    few = f"There are fewer than {WARN_BELOW} labelled examples"
    return f"{few}: intervals are widened to {level:.0%}. Label more queries before you rely on a number."


def _one_policy(evaluation: Evaluation) -> list[str]:
    """Where the test split has one policy only."""
    parts = evaluation.slices.tables.get("router's policy", {}) if evaluation.slices is not None else {}
    if len(parts) != 1:
        return []
    ((policy, s),) = parts.items()
    said = f"The router says {policy} to all {s.n} test queries ({_GOES_TO[Policy(policy)]}): it does not route."
    return [f"{said} Check the names of its labels (id2label), or use another router."]


def _ranking(auroc: Estimate) -> str:
    if auroc.high < 0.5:
        return "The confidence is higher where the router is wrong than where it is right"
    return "The confidence is not shown to tell right decisions from wrong ones"


def _against_a_constant(name: str, accuracy: float, skill: Estimate) -> str:
    constant = f"a constant confidence of {accuracy:.3f} for every query"
    if skill.high < 0:
        return f"«{name}» is worse than {constant}: its Brier score is {-skill.value:.1%} higher."
    return f"«{name}» is not shown to be better than {constant}: Brier skill {skill:.3f}, where 0 is that constant."
