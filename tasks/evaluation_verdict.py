"""What an evaluation comes to, money first: one sentence, the figures behind it, warnings, and what to do next."""

from routecal.calib.examples import WARN_BELOW
from routecal.calib.metrics import Estimate, Summary
from routecal.calib.night.promotion_gate import GateRules
from routecal.calib.policy import DEFAULT_MAP, Policy
from routecal.tasks.escalation_verdict import KeyFigure, escalation_figures, escalation_steps, money
from routecal.tasks.evaluate import RIVAL, Evaluation

TARGET_ECE: float = GateRules.model_fields["target_ece"].default


def headline(evaluation: Evaluation) -> str:
    """The verdict in one line: what is saved at what quality and whether that is shown, then the calibration."""
    last = _last(evaluation)
    return f"{money(evaluation.escalation)}; ECE {last.ece.value:.3f} on {last.n} test queries"


def key_figures(evaluation: Evaluation) -> list[KeyFigure]:
    """What the headline rests on: money, quality, calibration, Brier score and ranking, in this order."""
    last = _last(evaluation)
    found = [] if evaluation.escalation is None else escalation_figures(evaluation.escalation)
    found += [
        KeyFigure("Calibration error (ECE)", f"{last.ece:.3f}", _ece(last)),
        KeyFigure("Brier score", f"{last.brier:.3f}", _brier(evaluation, last)),
    ]
    if last.auroc is not None:
        meaning = "Chance that a right decision has more confidence than a wrong one; 0.5 is a coin."
        found.append(KeyFigure("Ranking (AUROC)", f"{last.auroc:.3f}", meaning))
    return found


def next_steps(evaluation: Evaluation, calibrated: str | None) -> list[str]:
    """What speaks against the head, then what to do about it or with it.

    Args:
        evaluation: of the head.
        calibrated: folder that `CalibratedRouter` opens; None where none was made.
    """
    against = head_warnings(evaluation)
    if evaluation.escalation is None:
        return against
    return against + escalation_steps(evaluation.escalation, calibrated, is_doubtful=bool(against))


def _ece(last: Summary) -> str:
    met = "at or below" if last.ece.value <= TARGET_ECE else "above"
    noise = "explains it" if last.ece_in_noise_band else "does not explain it"
    return (
        f"Mean gap between confidence and accuracy: {met} the target {TARGET_ECE:g}; noise alone, up to "
        f"{last.noise_high:.3f} on {last.n} queries, {noise}."
    )


def _brier(evaluation: Evaluation, last: Summary) -> str:
    meaning = "Mean squared error of the confidence; lower is better."
    if (d := evaluation.brier_difference) is None:
        return meaning
    better = "better than" if d.high < 0 else "worse than" if d.low > 0 else "not shown to differ from"
    return f"{meaning} {better.capitalize()} {RIVAL} scaling: {d:+.4f}."


def _last(evaluation: Evaluation) -> Summary:
    return list(evaluation.methods.values())[-1]


def head_warnings(evaluation: Evaluation) -> list[str]:
    """What speaks against the last method; empty if nothing does.

    Says where the router sends every test query one way, where confidence does not rank decisions (the interval of
    AUROC reaches down to 1/2), where it is not shown to be better than a constant (the interval of the Brier skill
    reaches down to 0), and where labels are few.
    """
    name, last = list(evaluation.methods.items())[-1]
    found = _one_policy(evaluation)
    if last.level != 0.95:
        few = f"There are fewer than {WARN_BELOW} labelled examples: intervals are widened to {last.level:.0%}."
        found.insert(0, f"{few} Label more queries before you rely on a number.")
    if last.auroc is not None and last.auroc.low <= 0.5:
        found.append(f"{_ranking(last.auroc)}: AUROC {last.auroc:.3f}, where 0.5 is chance.")
    if last.brier_skill is not None and last.brier_skill.low <= 0:
        found.append(_against_a_constant(name, last.accuracy, last.brier_skill))
    return found


def _one_policy(evaluation: Evaluation) -> list[str]:
    """Where the test split has one policy only."""
    parts = evaluation.slices.tables.get("router's policy", {}) if evaluation.slices is not None else {}
    if len(parts) != 1:
        return []
    ((policy, s),) = parts.items()
    policy_map = DEFAULT_MAP if evaluation.escalation is None else evaluation.escalation.policy_map
    model = f"the {policy_map.serves(Policy(policy))} model"
    verdict = f"The router says {policy} to all {s.n} test queries ({model}): it does not route."
    return [f"{verdict} Check the names of its labels (id2label), or use another router."]


def _ranking(auroc: Estimate) -> str:
    if auroc.high < 0.5:
        return "The confidence is higher where the router is wrong than where it is right"
    return "The confidence is not shown to tell right decisions from wrong ones"


def _against_a_constant(name: str, accuracy: float, skill: Estimate) -> str:
    constant = f"a constant confidence of {accuracy:.3f} for every query"
    if skill.high < 0:
        return f"«{name}» is worse than {constant}: its Brier score is {-skill.value:.1%} higher."
    return f"«{name}» is not shown to be better than {constant}: Brier skill {skill:.3f}, where 0 is that constant."
