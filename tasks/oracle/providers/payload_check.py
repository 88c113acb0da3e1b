"""What no provider can be sent, told before it is tried."""

from routecal.tasks.oracle.call import Call
from routecal.tasks.oracle.call_faults import Fault, FaultKind


def check_text(call: Call) -> None:
    """Refuse a text that has no UTF-8.

    Raises:
        Fault: ROW: it holds half a surrogate pair, as JSON input can.
    """
    try:
        (call.system + call.prompt).encode("utf-8")
    except UnicodeEncodeError:
        said = "the text holds half a surrogate pair, which no model can be sent"
        raise Fault(FaultKind.ROW, 0, said) from None
