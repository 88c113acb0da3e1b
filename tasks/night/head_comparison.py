"""The contest: which of tonight's heads stands against the serving one, and whether it may take its place."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from routecal.calib.decision_errors import GradeUnknown
from routecal.calib.examples import LABELLED
from routecal.calib.head import LoadedHead
from routecal.calib.learn.cross_fit import unseen
from routecal.calib.night import candidate
from routecal.calib.night.promotion_gate import Condition, GateRules, GateVerdict, decide, served
from routecal.calib.night.served_quality import not_compared, served_quality
from routecal.calib.settings import EscalationTerms
from routecal.storage.artifact import Artifact, read_table
from routecal.tasks.cache import step
from routecal.tasks.load_examples import load_examples
from routecal.tasks.night.health_check import Decisions, decisions, predict
from routecal.tasks.night.label_history import NightRows
from routecal.tasks.pack import rule_in
from routecal.tasks.priced_outcomes import priced_outcomes
from routecal.tasks.train import open_head

# Topics of fewer held-out rows have no veto, so they need no slice.
_CUTS = ("router_policy", "topic")


@step(
    "choose candidate",
    "choose the candidate",
    on=("tasks.load_examples", "calib.learn.cross_fit", "calib.head", "calib.night.candidate"),
)
def choose_candidate(tonight: NightRows, heads: Mapping[str, Artifact], learned: Mapping[str, NightRows]) -> str:
    """The name of the best head on tonight's labelled rows, see `calib.night.candidate.choose_candidate`.

    Held-out rows have no say: they judge the one that is chosen.

    Args:
        tonight: the rows that decide.
        heads: by name.
        learned: by the same names, the rows that each learned from and its recalibrator was fitted on.
    """
    ids = read_table(tonight.examples, columns=["query_id"])["query_id"].to_pylist()
    opened = {name: open_head(head, learned[name].features) for name, head in heads.items()}
    # Without folds a head says of rows of its train split what it learned there.
    splits = LABELLED if all(head.head.folds for head in opened.values()) else LABELLED[1:]
    return candidate.choose_candidate(
        {name: _contender(head, learned[name], ids, splits) for name, head in opened.items()}
    )


def _contender(
    head: LoadedHead, learned: NightRows, tonight: Sequence[str], splits: Sequence[str]
) -> candidate.Contender:
    rows = load_examples(learned.examples, learned.features, blocks=head.blocks)
    ids = np.array(read_table(learned.examples, columns=["query_id"])["query_id"].to_pylist(), np.str_)
    is_fitted_on = np.isin(rows.split, splits)
    data, is_judged = rows.where(is_fitted_on), np.isin(ids[is_fitted_on], list(tonight))
    return candidate.Contender(unseen(head.head, data), data.y.astype(np.float64), is_judged, head.recalibrator)


@step(
    "gate",
    "compare the candidate with the serving head",
    on=(
        "tasks.night.health_check",
        "tasks.load_examples",
        "tasks.priced_outcomes",
        "storage.example_join",
        "calib.night.promotion_gate",
        "calib.night.served_quality",
        "calib.head",
        "calib.outcome.outcome_folder",
        "calib.serving_rule",
    ),
)
def judge(
    new: Artifact,
    champion: Artifact | None,
    window: NightRows,
    renewal: Sequence[str],
    terms: tuple[EscalationTerms, EscalationTerms | None],
    rules: GateRules,
    seed: int,
) -> GateVerdict:
    """The candidate against the serving head on held-out rows, whole and by policy and topic.

    Args:
        new: the candidate, packed with its threshold.
        champion: the calibrated router that serves; None if there is none yet.
        window: the held-out rows.
        renewal: why the champion is to be renewed, see `calib.night.action.renewal_reasons`.
        terms: that chose the candidate's threshold, and the champion's; None: those are not known.
        rules: of the gate.
        seed: of its redrawn labels.
    """
    head = open_head(new, window.features)
    p, y = predict(head, window)
    if champion is None:
        return decide(p, None, y, rules=rules, seed=seed)
    serving = open_head(champion, window.features)
    other, _ = predict(serving, window)
    slices = _slices(window, rules.min_slice)
    both = (decisions(new, window), decisions(champion, window))
    return decide(
        *(p, other, y),
        slices=slices,
        renewal=renewal,
        decisions=(served(*both[0]), served(*both[1])),
        quality=_quality({"the candidate": new, "the champion": champion}, both, window, terms, rules.level),
        rules=rules,
        seed=seed,
    )


def _quality(
    packed: Mapping[str, Artifact],
    both: tuple[Decisions, Decisions],
    window: NightRows,
    terms: tuple[EscalationTerms, EscalationTerms | None],
    level: float,
) -> Condition:
    """Whether fewer are answered right with the candidate; or why that cannot be compared."""
    now, before = terms
    if by_confidence := [name for name, one in packed.items() if rule_in(one).decides_by == "confidence"]:
        return not_compared(f"no outcome head decides for {' or '.join(by_confidence)}")
    if before is None:
        return not_compared("the terms of the champion's threshold are not known")
    try:
        outcomes = priced_outcomes(read_table(window.examples), now).outcomes
    except GradeUnknown as error:
        return not_compared(str(error))
    own, theirs = both
    return served_quality(own.escalated, theirs.escalated, outcomes, own.wrong, now, before, level=level)


def classes(rows: NightRows) -> tuple[int, int]:
    """Rows on which the router is right, and on which it is wrong."""
    right = read_table(rows.examples, columns=["is_correct"])["is_correct"].to_pylist()
    return sum(right), len(right) - sum(right)


def _slices(window: NightRows, at_least: int) -> dict[str, NDArray[np.bool_]]:
    table = read_table(window.examples, columns=list(_CUTS))
    masks = {}
    for cut in _CUTS:
        values = np.array([value or "" for value in table[cut].to_pylist()], np.str_)
        for value in np.unique(values):
            mask = values == value
            # A slice that is all rows has been judged.
            if value and at_least <= mask.sum() < len(values):
                masks[f"{cut.replace('_', ' ')} {value}"] = mask
    return masks
