"""A report whose topics and model names are hostile."""

from pathlib import Path

import pytest

from routecal.calib.examples import LABELLED
from routecal.calib.learn.cross_fit import CrossFitPlan
from routecal.calib.learn.sft import SFTConfig
from routecal.calib.settings import EscalationTerms
from routecal.storage.artifact import Artifact
from routecal.tasks.escalate import escalate
from routecal.tasks.evaluate import FINAL, predict, score, score_slices
from routecal.tasks.figures import draw_figures
from routecal.tasks.load_examples import join
from routecal.tasks.report import write_report
from routecal.tasks.train import train_sft
from tests.tasks.made import Made, store_queries, texts
from tests.tasks.report.report_page import HOSTILE, Page, gains_of


@pytest.fixture(scope="module")
def report(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report whose topics and model names are hostile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("report")))
        asked = texts(200)
        queries = store_queries(asked, topic=[HOSTILE[0 if i % 2 else i % len(HOSTILE)] for i in range(200)])
        examples = join.fn(queries, made.labels, made.features)
        head = train_sft.fn(examples, made.features, CrossFitPlan(hidden_units=8), SFTConfig(epochs=2))
        predictions = predict.fn(examples, made.features, {"SFT": head, FINAL: head})
        artifacts: dict[str, Artifact] = {
            "labels": made.labels, "examples": examples, "predictions": predictions, "head: SFT": head,
        }  # fmt: skip
        facts = {f"Model {i}": name for i, name in enumerate(HOSTILE)} | {HOSTILE[0]: "as a title"}
        more = {
            "slices": score_slices.fn(predictions, examples, FINAL, 0),
            "escalation": escalate.fn(
                predictions,
                examples,
                ["entropy", FINAL],
                LABELLED,
                EscalationTerms(medium_price=1, large_price=9, price_unit=HOSTILE[0], at_most=0.1, probability=0.8),
                gains_of(examples),
            ),
        }
        evaluation = score.fn(predictions, 0).model_copy(update=more)
        drawn = draw_figures.fn(evaluation, predictions, {"SFT": head})
        found = write_report.fn("calibrate-<b>1", evaluation, drawn, artifacts, facts)
        return Path(found).parent


@pytest.fixture(scope="module")
def page(report: Path) -> Page:
    return Page((report / "report.html").read_text(encoding="utf-8"))
