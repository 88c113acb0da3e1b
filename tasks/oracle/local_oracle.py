"""The `local` oracle: a causal language model on this machine answers twice, closed-book and open-book.

The *medium* model answers from memory; the *large* one is the same weights with the query's `context` in the prompt,
which makes it the stronger and dearer of the two (it reads half again as many tokens). Both really generate, greedily.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from routecal.calib.policy import OracleMatrix
from routecal.tasks.errors import OptionMissing
from routecal.tasks.oracle.grading.exact import grade_short_answer
from routecal.tasks.oracle.oracle_spec import Artifact, Oracle, OracleSpec
from routecal.tasks.oracle.prompt_files import BOOKS, prompt, prompts_sha256

if TYPE_CHECKING:
    import pyarrow as pa


class LocalOracle(OracleSpec):
    """A causal model on this machine, closed-book as medium and open-book as large."""

    kind: str = "local"
    name: str = Field(description="what people call the model")
    checkpoint: Artifact = Field(description="folder of the causal-LM checkpoint that answers")
    prompts_sha256: str = Field(description="of the two prompt files")

    @property
    def facts(self) -> dict[str, str]:
        """What a reader of the labels must know."""
        return {
            "Medium model": f"{self.name}, answering from memory (closed-book, few-shot prompt)",
            "Large model": "the same weights as the medium model, with a fact sheet in the prompt (open-book): "
            "better and dearer, as it reads half again as many tokens, but no larger network",
            "Judge": "exact match after normalisation, against the reference and its aliases",
        }


def label(queries: "pa.Table", oracle: LocalOracle, matrix: OracleMatrix) -> "pa.Table":
    """One row of `labels` for every query that has a `ground_truth`; without one nothing can be graded."""
    import pyarrow as pa

    from routecal.storage.folder_artifact import local_folder
    from routecal.storage.schemas import SCHEMAS
    from routecal.tasks.oracle.local_model import local_model

    gradable = [row for row in queries.to_pylist() if row["ground_truth"]]
    path = str(local_folder(oracle.checkpoint))
    answers = {who: local_model(path, prompt(book)).answer(gradable) for who, book in BOOKS.items()}
    now = datetime.now(UTC)
    rows = []
    for i, query in enumerate(gradable):
        said = {who: of_model[i] for who, of_model in answers.items()}
        accepted = [query["ground_truth"], *(query["aliases"] or ())]
        grades = {who: grade_short_answer(answer.text, accepted) for who, answer in said.items()}
        rows.append(
            {
                "query_id": query["query_id"],
                "oracle": "local",
                "true_policy": matrix.true_policy(grades["medium"], grades["large"]).value,
                "judge": "exact match",
                "prompt_version": oracle.prompts_sha256[:16],
                "labelled_at": now,
                **{f"{who}_model": f"{oracle.name} ({BOOKS[who]})" for who in said},
                **{f"{who}_model_version": oracle.checkpoint.sha256[:16] for who in said},
                **{f"{who}_answer": answer.text for who, answer in said.items()},
                **{f"{who}_grade": grade.value for who, grade in grades.items()},
                **{f"{who}_tokens_in": answer.tokens_in for who, answer in said.items()},
                **{f"{who}_tokens_out": answer.tokens_out for who, answer in said.items()},
            }
        )
    return pa.Table.from_pylist(rows, schema=SCHEMAS["labels"])


def _resolve(params: Any, _queries: str) -> LocalOracle:
    # Torch comes with it, which the other oracles do without.
    from routecal.tasks.make_router import refer_checkpoint

    checkpoint = refer_checkpoint(params.local_model, kind="models")
    return LocalOracle(name=params.local_model_name, checkpoint=checkpoint, prompts_sha256=prompts_sha256())


def _check(params: Any) -> None:
    if params.local_model is None:
        raise OptionMissing("model for the local oracle", "name a causal-LM checkpoint folder with --local-model")


ORACLE = Oracle(
    name="local",
    does="asks a causal model on this machine",
    resolve=_resolve,
    label=label,
    reads=("local_model", "local_model_name"),
    check=_check,
)
