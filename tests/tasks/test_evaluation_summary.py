"""The page of an evaluation in the UI: what it comes to stands first, then what speaks against the head."""

from routecal.calib.metrics import Estimate
from routecal.calib.metrics.summary import summarise
from routecal.tasks import evaluation_summary
from routecal.tasks.escalate import Escalation
from routecal.tasks.evaluate import FINAL, Evaluation
from routecal.tasks.head_warnings import findings

HEAD = summarise([0.9, 0.8, 0.2, 0.3] * 20, [1, 1, 0, 0] * 20, n_replicates=50)


def evaluation(auroc: Estimate | None) -> Evaluation:
    """Of a head whose confidence ranks decisions like that."""
    head = HEAD.model_copy(update={"auroc": auroc})
    escalation = Escalation(unit="USD", margin=0.01, n_chosen_on=9, note="no answer has a grade")
    return Evaluation(methods={FINAL: head}, brier_difference=None, escalation=escalation)


def test_what_it_comes_to_stands_before_what_it_was_measured_on(tmp_path) -> None:
    text = evaluation_summary.page(evaluation(None), str(tmp_path / "report.html"))
    assert text.startswith("**No escalation threshold: no answer has a grade.**\n")
    assert "Before you use" not in text


def test_what_speaks_against_a_head_is_on_the_page_once(tmp_path) -> None:
    found = evaluation(Estimate(value=0.5, low=0.4, high=0.6))
    text = evaluation_summary.page(found, str(tmp_path / "report.html"))
    assert text.index("## Before you use this head") < text.index("Test split:")
    assert len(findings(found)) == 1
    assert text.count("is not shown to tell right decisions from wrong ones") == 1
