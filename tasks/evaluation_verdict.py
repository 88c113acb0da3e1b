"""What an evaluation comes to, money first: one sentence, the figures behind it, warnings, and what to do next."""

from typing import NamedTuple

from routecal.calib.escalation import EVERYTHING, Saving
from routecal.calib.examples import WARN_BELOW
from routecal.calib.metrics import Estimate, Summary
from routecal.calib.night.promotion_gate import GateRules
from routecal.calib.policy import Policy
from routecal.tasks.escalate import CALLS, Escalation
from routecal.tasks.evaluate import RIVAL, Evaluation

_GOES_TO = {Policy.STANDARD: "the medium model", Policy.COMPLEX: "the large model", Policy.AMBIGUOUS: "neither model"}
# Shares below are printed as 0.0 %.
LEAST_SAVING = 0.0005
TARGET_ECE: float = GateRules.model_fields["target_ece"].default


class KeyFigure(NamedTuple):
    """One line of the verdict.

    Attributes:
        name: what was measured.
        value: with its interval.
        meaning: what to hold the value against, in a sentence.
    """

    name: str
    value: str
    meaning: str


def headline(evaluation: Evaluation) -> str:
    """The verdict in one line: what is saved at what quality and whether that is shown, then the calibration."""
    last = _last(evaluation)
    return f"{money(evaluation.escalation)}; ECE {last.ece.value:.3f} on {last.n} test queries"


def key_figures(evaluation: Evaluation) -> list[KeyFigure]:
    """What the headline rests on: money, quality, calibration, Brier score and ranking, in this order."""
    last = _last(evaluation)
    escalation, found = evaluation.escalation, list[KeyFigure]()
    if escalation is not None and (saving := _saving(escalation)) is not None:
        found += _of_escalation(escalation, saving)
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
    against, escalation = head_warnings(evaluation), evaluation.escalation
    steps = list(against)
    if escalation is None or (saving := _saving(escalation)) is None:
        return steps
    if escalation.note:
        steps.append(f"Costs are not in money: {escalation.note}.")
    if not saving.non_inferior or _saves_nothing(saving):
        steps.append(
            f"Label more queries: {escalation.n_chosen_on} chose the threshold and {saving.n} measured it. Or allow a "
            f"greater loss of quality than {_points(escalation.margin)} (--margin {escalation.margin:g})."
        )
    elif calibrated is not None and not against:
        steps.append(f"Serve it: CalibratedRouter.from_pretrained({calibrated!r}).")
    return steps


def money(escalation: Escalation | None) -> str:
    """What escalating saves, at what change of quality, and whether that is shown; or why nothing is known."""
    saving = _saving(escalation)
    if escalation is None or saving is None:
        return "What escalating saves is not known" + (f" ({escalation.note})" if escalation is not None else "")
    if _saves_nothing(saving):
        share = f"{saving.point.large:.1%}"
        return (
            f"Saves nothing: the large model has to serve {'all' if share == '100.0%' else share + ' of'} test queries"
        )
    d, within = saving.quality_difference, _points(escalation.margin)
    what = "calls of the large model" if escalation.unit == CALLS else "cost"
    at = f"{d.value * 100:+.1f} points of quality against the large model alone"
    claims = {"shown": f"within {within}: shown", "ruled out": f"more than {within} worse"}
    claim = claims.get(_claim(saving, escalation.margin), f"within {within}: not shown")
    sure = "Saves" if saving.saving.low > 0 else "May save"
    return f"{sure} {saving.saving.value:.1%} of the {what} at {at} ({claim})"


def sentence(escalation: Escalation) -> str:
    """All of it in one line, of the last method: threshold, saving, quality, and what of it is shown."""
    if (s := _saving(escalation)) is None:
        return f"No escalation threshold: {escalation.note}."
    within, rows = _points(escalation.margin), f"{escalation.n_chosen_on} labelled queries"
    if s.point.threshold >= EVERYTHING:
        saved, quality = _router_alone(escalation)
        return (
            f"Nothing is saved: on {rows} no confidence is high enough to stay within {within} of all-large, so the "
            f"large model serves all {s.n} test queries (quality {s.point.quality:.1%}). More labelled queries or a "
            f"wider --margin may change that. The router alone saves {saved} (in {escalation.unit}) at {quality} "
            "points of quality."
        )
    claims = {
        "shown": f"no worse than all-large within {within}: shown",
        "ruled out": f"worse than all-large by more than {within}",
    }
    open_claim = f"within {within} of all-large: neither shown nor ruled out on {s.n} queries"
    nothing = "Nothing is saved: escalating" if _saves_nothing(s) else "Escalating"
    shown = "" if s.saving.low > 0 or _saves_nothing(s) else ", which may be nothing,"
    mix = "" if s.random_saving is None else f" A random mix of that quality saves {s.random_saving:.1%}."
    return (
        f"{nothing} confidence below {s.point.threshold:.3f} (chosen on {rows}), the large model serves "
        f"{s.point.large:.1%} of {s.n} test queries and {s.saving.times(100):.1f} % of its cost{shown} is saved (in "
        f"{escalation.unit}); quality {s.point.quality:.1%}, {s.quality_difference.times(100):+.1f} points against "
        f"all-large; {claims.get(_claim(s, escalation.margin), open_claim)}.{mix}"
    )


def _of_escalation(escalation: Escalation, saving: Saving) -> list[KeyFigure]:
    alone = "{} at {} points".format(*_router_alone(escalation))
    mix = "" if saving.random_saving is None else f" A random mix of the same quality saves {saving.random_saving:.1%}."
    return [
        KeyFigure(
            "Calls saved" if escalation.unit == CALLS else "Cost saved",
            f"{saving.saving.times(100):.1f} %",
            f"Against the large model alone ({escalation.unit}). The router without confidence saves {alone}.{mix}",
        ),
        KeyFigure(
            "Quality",
            f"{saving.point.quality:.1%}",
            f"Share of queries answered correctly: {saving.quality_difference.times(100):+.1f} points against the "
            f"large model alone; that at most {_points(escalation.margin)} is lost is "
            f"{_claim(saving, escalation.margin)}.",
        ),
        KeyFigure(
            "Served by the large model",
            f"{saving.point.large:.1%}",
            f"Queries that the router sends there, and those whose confidence is below {saving.point.threshold:.3f}.",
        ),
    ]


def _claim(saving: Saving, margin: float) -> str:
    """Whether it is shown that no more than the margin of quality is lost."""
    if saving.non_inferior:
        return "shown"
    return "ruled out" if saving.quality_difference.high < -margin else "neither shown nor ruled out"


def _router_alone(escalation: Escalation) -> tuple[str, str]:
    """(share of the cost saved, points of quality lost) by the router without confidence, against all-large."""
    (cost, quality), (all_cost, best) = (escalation.policies[name] for name in ("router alone", "all-large"))
    return f"{1 - cost / all_cost:.1%}", f"{100 * (quality - best):+.1f}"


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


def _saving(escalation: Escalation | None) -> Saving | None:
    """Of the method in question; None where nothing could be measured."""
    return list(escalation.methods.values())[-1] if escalation is not None and escalation.methods else None


def _saves_nothing(saving: Saving) -> bool:
    return saving.point.threshold >= EVERYTHING or saving.saving.value < LEAST_SAVING


def _last(evaluation: Evaluation) -> Summary:
    return list(evaluation.methods.values())[-1]


def _points(margin: float) -> str:
    return f"{100 * margin:g} point{'s' * (margin != 0.01)}"


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
    verdict = f"The router says {policy} to all {s.n} test queries ({_GOES_TO[Policy(policy)]}): it does not route."
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
