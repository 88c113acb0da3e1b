"""What escalation comes to in words, never more than was shown: the verdict, and what it rests on."""

from typing import NamedTuple

from routecal.calib.escalation import Saving
from routecal.calib.metrics import Estimate
from routecal.calib.need import ALL_KEPT, NOTHING_KEPT, confidence_threshold
from routecal.calib.policy import DEFAULT_MAP
from routecal.calib.promise.wording import level_in_words
from routecal.tasks.escalation_result import CALLS, JOINT, Escalation

# Shares below are printed as 0.0 %.
LEAST_SAVING = 0.0005


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


def money(escalation: Escalation | None) -> str:
    """Which share of the queries the medium model can have, what that saves and costs in quality, and what is promised.

    Or why nothing of it is known.
    """
    if escalation is None or (s := _saving(escalation)) is None:
        return "What escalating saves is not known" + (f" ({escalation.note})" if escalation is not None else "")
    if _saves_nothing(s):
        share = f"{s.point.large:.1%}"
        served = "all" if share == "100.0%" else share + " of"
        return f"Saves nothing: the large model has to serve {served} test queries{_instead(escalation)}"
    what = "calls of the large model" if escalation.unit == CALLS else "cost"
    kept = _percent(1 - s.point.large)
    saves = "saves" if s.saving.low > 0 else "may save"
    against = _claim(s, escalation.margin) == "ruled out"
    worse = f" (on test queries it is more than {_points(escalation)} worse)" if against else ""
    return (
        f"Send these {kept} % to the medium model: {saves} {_interval(s.saving)} of the {what} at "
        f"{_change(s.quality_difference)} against all-large{worse}; {_promise(escalation)}"
    )


def sentence(escalation: Escalation) -> str:
    """All of it in one line: rule, threshold, saving, quality, and what of it is shown."""
    if (s := _saving(escalation)) is None:
        return f"No escalation threshold: {escalation.note}."
    within, rows = _points(escalation), f"{escalation.n_chosen_on} labelled queries"
    if s.point.threshold == NOTHING_KEPT:
        saved, quality = _router_alone(escalation)
        which = "gain is low" if escalation.rule == JOINT else "confidence is high"
        return (
            f"Nothing is saved: on {rows} no {which} enough to keep the promise ({_promise(escalation)}), so the large "
            f"model serves all {s.n} test queries (quality {s.point.quality:.1%}). More labelled queries or a wider "
            f"--at-most may change that. The router alone saves {saved} (in {escalation.unit}) at {quality} points of "
            "quality."
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
        f"{nothing} {_beyond(escalation, s)} (chosen on {rows}), the large model serves {s.point.large:.1%} of {s.n} "
        f"test queries and {s.saving.times(100):.1f} % of its cost{shown} is saved (in {escalation.unit}); quality "
        f"{s.point.quality:.1%}, {s.quality_difference.times(100):+.1f} points against all-large; "
        f"{claims.get(_claim(s, escalation.margin), open_claim)}.{mix}"
    )


def rule_line(escalation: Escalation) -> str:
    """By which rule is decided, and how it compares with the other; empty where nothing could be measured."""
    if escalation.rule is None:
        return ""
    if escalation.rule != JOINT:
        if (d := escalation.area_difference) is not None:
            return (
                "The decision is by confidence, whether the router's policy is right, as was asked for. The area over "
                f"random of the joint outcome's cost-quality curve minus that of confidence: {d:+.3f}."
            )
        return (
            "The decision is by confidence, whether the router's policy is right: nothing here tells what the large "
            "model gains, which is what escalating earns."
        )
    line = "The decision is by the joint outcome: how much likelier the large model is right than the medium one."
    if (d := escalation.area_difference) is None or (own := escalation.areas.get(JOINT)) is None:
        return line
    better = "above" if d.low > 0 else "below" if d.high < 0 else "not shown to differ from"
    return (
        f"{line} The area of its cost-quality curve over random, where the perfect oracle has 1, is {own:.3f}, "
        f"{better} that of confidence: {d:+.3f}."
    )


def escalation_figures(escalation: Escalation) -> list[KeyFigure]:
    """What the verdict rests on: money, quality, promise, who serves, and how good the order of queries is."""
    if (saving := _saving(escalation)) is None:
        return []
    alone = "{} at {} points".format(*_router_alone(escalation))
    mix = "" if saving.random_saving is None else f" A random mix of the same quality saves {saving.random_saving:.1%}."
    down = saving.point.downgraded
    sent_down = f" {down:.1%} are sent down against the router's policy." if down else ""
    named = "" if escalation.policy_map == DEFAULT_MAP else f" Policy map: {escalation.policy_map}."
    found = [
        KeyFigure(
            "Calls saved" if escalation.unit == CALLS else "Cost saved",
            f"{saving.saving.times(100):.1f} %",
            f"Against the large model alone ({escalation.unit}). The router without confidence saves {alone}.{mix}",
        ),
        KeyFigure(
            "Quality",
            f"{saving.point.quality:.1%}",
            f"Share of queries answered correctly: {saving.quality_difference.times(100):+.1f} points against the "
            f"large model alone; that at most {_points(escalation)} is lost is "
            f"{_claim(saving, escalation.margin)}.",
        ),
        KeyFigure(
            "Served by the large model",
            f"{saving.point.large:.1%}",
            f"{_who(escalation, saving)}.{sent_down}{named}",
        ),
    ]
    if escalation.promise is not None:
        holds = escalation.promise.holds
        found.insert(
            2,
            KeyFigure(
                "Promise" if holds else "No promise",
                escalation.promise.sentence.removeprefix("no promise of quality: "),
                f"Over the draw of the {escalation.n_chosen_on} labelled queries that chose the threshold, for queries "
                f"like them.{_slices(escalation)}"
                if holds
                else (escalation.promise.instead or "Nothing is said of other queries than the test queries."),
            ),
        )
    if (area := escalation.areas.get(str(escalation.rule))) is not None:
        found.append(KeyFigure("Area over random", f"{area:.3f}", rule_line(escalation)))
    return found


def escalation_steps(escalation: Escalation, calibrated: str | None, *, is_doubtful: bool) -> list[str]:
    """What to do about the saving, or with it.

    Args:
        escalation: measured.
        calibrated: folder that `CalibratedRouter` opens; None where none was made.
        is_doubtful: something speaks against the head.
    """
    if (saving := _saving(escalation)) is None:
        return []
    steps = [f"Costs are not in money: {escalation.note}."] if escalation.note else []
    steps += escalation.remarks
    if escalation.promise is not None and escalation.promise.instead:
        steps.append(escalation.promise.instead)
    if not saving.non_inferior or _saves_nothing(saving):
        steps.append(
            f"Label more queries: {escalation.n_chosen_on} chose the threshold and {saving.n} measured it. Or allow a "
            f"greater loss of quality than {_points(escalation)} (--at-most {escalation.margin:g})."
        )
    elif calibrated is not None and not is_doubtful:
        steps.append(f"Serve it: CalibratedRouter.from_pretrained({calibrated!r}).")
    return steps


def _slices(escalation: Escalation) -> str:
    return "".join(f" By {kind}: {said[0].lower()}{said[1:]}." for kind, said in escalation.slices.items())


def _promise(escalation: Escalation) -> str:
    if escalation.promise is None:
        return "nothing is promised"
    said = escalation.promise.sentence
    return said if said.startswith("no promise") else f"promise: {said}"


def _instead(escalation: Escalation) -> str:
    promise = escalation.promise
    return "" if promise is None or not promise.instead else f". {promise.instead}"


def _beyond(escalation: Escalation, saving: Saving) -> str:
    """What is escalated."""
    t = saving.point.threshold
    if escalation.rule == JOINT:
        return "nothing" if t == ALL_KEPT else f"gains above {t:.3f}"
    return f"confidence below {confidence_threshold(t):.3f}"


def _who(escalation: Escalation, saving: Saving) -> str:
    if escalation.rule == JOINT:
        return f"Queries on which it is likelier right than the medium model, by more than {saving.point.threshold:.3f}"
    below = confidence_threshold(saving.point.threshold)
    return f"Queries that the router sends there, and those whose confidence is below {below:.3f}"


def _claim(saving: Saving, margin: float) -> str:
    """Whether it is shown that no more than the margin of quality is lost."""
    if saving.non_inferior:
        return "shown"
    return "ruled out" if saving.quality_difference.high < -margin else "neither shown nor ruled out"


def _router_alone(escalation: Escalation) -> tuple[str, str]:
    """(share of the cost saved, points of quality lost) by the router without confidence, against all-large."""
    (cost, quality), (all_cost, best) = (escalation.policies[name] for name in ("router alone", "all-large"))
    return f"{1 - cost / all_cost:.1%}", f"{100 * (quality - best):+.1f}"


def _saving(escalation: Escalation) -> Saving | None:
    """Of the rule that decides; None where nothing could be measured."""
    return None if escalation.rule is None else escalation.methods[escalation.rule]


def _saves_nothing(saving: Saving) -> bool:
    return saving.point.threshold == NOTHING_KEPT or saving.saving.value < LEAST_SAVING


def _points(escalation: Escalation) -> str:
    return level_in_words("loss", escalation.margin)


def _percent(share: float) -> str:
    """In percent, with a digit more where it is small."""
    return f"{100 * share:.0f}" if abs(share) >= 0.1 else f"{100 * share:.1f}"


def _interval(share: Estimate) -> str:
    """In percent, all three with the digits of the value, the interval behind the unit."""
    s, digits = share.times(100), 0 if abs(share.value) >= 0.1 else 1
    return f"{s.value:.{digits}f} % [{s.low:.{digits}f}, {s.high:.{digits}f}]"


def _change(difference: Estimate) -> str:
    """In points, interval behind the unit."""
    d = difference.times(100)
    return f"{d.value:+.1f} points [{d.low:+.1f}, {d.high:+.1f}]"
