"""Why an audit cannot be drawn or scored."""

from routecal.tasks.errors import TaskError


class NothingToAudit(TaskError, ValueError):
    """No label holds both an answer and its grade."""

    def __init__(self, n_labels: int) -> None:
        super().__init__(n_labels)
        self.n_labels = n_labels

    def __str__(self) -> str:
        return (
            f"none of the {self.n_labels} labels holds an answer with a grade, so people have nothing to check; "
            "audit labels of an oracle that keeps answers"
        )


class SampleTooSmall(TaskError, ValueError):
    """Fewer rows asked for than there are kinds of answers."""

    def __init__(self, n: int, n_strata: int) -> None:
        super().__init__(n, n_strata)
        self.n, self.n_strata = n, n_strata

    def __str__(self) -> str:
        return (
            f"{self.n} rows cannot hold one of each of the {self.n_strata} kinds of answers (model and grade); "
            f"audit at least {self.n_strata}, better 200"
        )


class QueryUnknown(TaskError, ValueError):
    """A label is of a query that is not there."""

    def __init__(self, query_id: str) -> None:
        super().__init__(query_id)
        self.query_id = query_id

    def __str__(self) -> str:
        return f"the labels have a query {self.query_id} that the queries lack; give the queries that were labelled"


class AuditIdUnknown(TaskError, ValueError):
    """A filled row is of no answer in the labels."""

    def __init__(self, audit_id: str, n: int) -> None:
        super().__init__(audit_id, n)
        self.audit_id, self.n = audit_id, n

    def __str__(self) -> str:
        return (
            f"{self.n} rows are of no answer in these labels (first: audit_id {self.audit_id!r}); "
            "score the audit against the labels it was drawn from, with that column left as it was"
        )


class AuditIdTwice(TaskError, ValueError):
    """Two filled rows are of the same answer."""

    def __init__(self, audit_id: str) -> None:
        super().__init__(audit_id)
        self.audit_id = audit_id

    def __str__(self) -> str:
        return f"the audit_id {self.audit_id} occurs twice; keep one row of each"


class HumanGradeUnknown(TaskError, ValueError):
    """A person wrote something that is no grade."""

    def __init__(self, audit_id: str, grade: str, n: int) -> None:
        super().__init__(audit_id, grade, n)
        self.audit_id, self.grade, self.n = audit_id, grade, n

    def __str__(self) -> str:
        return (
            f"{self.n} rows have a human_grade that is none (first: {self.grade!r} at audit_id {self.audit_id}); "
            "write CORRECT, INCORRECT or NOT_ATTEMPTED, or C, I or N, or leave it blank"
        )


class TooFewGraded(TaskError, ValueError):
    """People graded too little to say anything."""

    def __init__(self, n: int, needed: int) -> None:
        super().__init__(n, needed)
        self.n, self.needed = n, needed

    def __str__(self) -> str:
        return f"people graded {self.n} rows, which says too little; grade at least {self.needed}"


class KindUngraded(TaskError, ValueError):
    """People graded none of one kind of answers, so nothing is known of these."""

    def __init__(self, role: str, grade: str, size: int) -> None:
        super().__init__(role, grade, size)
        self.role, self.grade, self.size = role, grade, size

    def __str__(self) -> str:
        return (
            f"no graded row is one of the {self.size} answers of the {self.role} model that the judge found "
            f"{self.grade}; grade more of the blank rows"
        )


class AuditUnreadable(TaskError, ValueError):
    """The file is no audit sheet."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"{self.path} is no audit sheet: {self.problem}; save it as CSV in UTF-8 with its columns as they were"


class AuditExists(TaskError, FileExistsError):
    """The place of a new sheet is taken, perhaps by one that people have filled in."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} exists already and may hold people's grades; name another file or remove it"
