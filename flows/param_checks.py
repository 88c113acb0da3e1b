"""What is wrong with parameters, known from them alone and from a look at the files that they name.

Every flow checks its parameters first, and the command line does before it imports Prefect or starts a server: nothing
is labelled, trained or paid for a command that cannot end well, and nobody waits to hear of a typing error. Ranges of
single values are constraints of the models, which the form of the Prefect UI knows too.
"""

from routecal.flows.form import Params
from routecal.flows.input_files import INPUTS
from routecal.flows.option_conflicts import CONFLICTS


def check(params: Params) -> None:
    """Refuse parameters that contradict each other, or that name files that are not there.

    Raises:
        TaskError, CalibError, StorageError: one sentence says what is wrong, and what to do.
    """
    for form, refuse in (*CONFLICTS, *INPUTS):
        if isinstance(params, form):
            refuse(params)
