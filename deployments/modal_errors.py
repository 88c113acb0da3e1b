"""What `--on modal` refuses: what was found, what is allowed, what to do."""

from routecal.root_error import RoutecalError


class ModalError(RoutecalError):
    """Root of what is said of Modal."""


class ModalTokenMissing(ModalError, PermissionError):
    """Nothing here says who calls Modal."""

    sentence = "Modal has no token on this machine; run `modal token new`, or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET"


class ModalHomeLocal(ModalError, ValueError):
    """Artifacts lie where Modal's machines cannot read them."""

    home: str
    sentence = (
        "ROUTECAL_HOME is {home}, which machines of Modal do not reach; set it to a URL that both sides do, as "
        "s3://bucket/routecal"
    )


class ModalSecretMissing(ModalError, LookupError):
    """The secret with the keys that runs there need is not there."""

    name: str
    sentence = (
        "Modal has no secret {name}, which holds the keys of ROUTECAL_HOME; run `modal secret create {name} "
        "AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…`"
    )


class ModalUnusable(ModalError, ConnectionError):
    """Modal does not answer, or refuses to start."""

    reason: str
    sentence = (
        "Modal cannot be used: {reason}; `modal app list` shows whether it answers and knows you, and without "
        "--on modal the run stays on this machine"
    )


class ModalStepFailed(ModalError, RuntimeError):
    """A step ended on Modal in a way that is none of routecal's errors."""

    step: str
    reason: str
    sentence = (
        "the step {step!r} failed on Modal: {reason}; `modal app logs routecal` shows what it printed, and the same "
        "command goes on after the steps that are finished"
    )


class NightFailed(ModalError, RuntimeError):
    """The nightly job ended with another code than 0."""

    code: int
    said: str
    sentence = "routecal recalibrate ended with code {code}: {said}"
