"""Why an audit cannot be drawn or scored."""

from routecal.tasks.errors import TaskError


class NothingToAudit(TaskError, ValueError):
    """No label holds both an answer and its grade."""

    n_labels: int
    sentence = (
        "none of the {n_labels} labels holds an answer with a grade, so people have nothing to check; audit labels of "
        "an oracle that keeps answers"
    )


class SampleTooSmall(TaskError, ValueError):
    """Fewer rows asked for than there are kinds of answers."""

    n: int
    n_strata: int
    sentence = (
        "{n} rows cannot hold one of each of the {n_strata} kinds of answers (model and grade); audit at least "
        "{n_strata}, better 200"
    )


class QueryUnknown(TaskError, ValueError):
    """A label is of a query that is not there."""

    query_id: str
    sentence = "the labels have a query {query_id} that the queries lack; give the queries that were labelled"


class AuditIdUnknown(TaskError, ValueError):
    """A filled row is of no answer in the labels."""

    audit_id: str
    n: int
    sentence = (
        "{n} rows are of no answer in these labels (first: audit_id {audit_id!r}); score the audit against the labels "
        "it was drawn from, and leave that column unchanged"
    )


class AuditIdTwice(TaskError, ValueError):
    """Two filled rows are of the same answer."""

    audit_id: str
    sentence = "the audit_id {audit_id} occurs twice; keep one row of each"


class HumanGradeUnknown(TaskError, ValueError):
    """A person wrote something that is not a grade."""

    audit_id: str
    grade: str
    n: int
    sentence = (
        "{n} rows have a human_grade that is not a grade (first: {grade!r} at audit_id {audit_id}); write CORRECT, "
        "INCORRECT or NOT_ATTEMPTED, or C, I or N, or leave it blank"
    )


class TooFewGraded(TaskError, ValueError):
    """People graded too few rows for an estimate."""

    n: int
    needed: int
    sentence = "people graded {n} rows, too few for an estimate; grade at least {needed}"


class KindUngraded(TaskError, ValueError):
    """People graded none of one kind of answers, so nothing is known of these."""

    role: str
    grade: str
    size: int
    sentence = (
        "no graded row is one of the {size} answers of the {role} model that the judge found {grade}; grade more of "
        "the blank rows"
    )


class AuditUnreadable(TaskError, ValueError):
    """The file is no audit sheet."""

    path: str
    problem: str
    sentence = "{path} is not an audit sheet: {problem}; save it as CSV in UTF-8 with its columns unchanged"


class AuditExists(TaskError, FileExistsError):
    """The file of a new sheet exists, perhaps filled in by people."""

    path: str
    sentence = "{path} exists already and may hold people's grades; name another file or remove it"
