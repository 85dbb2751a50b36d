"""Which requests are refused, with which status, and when may the client try again?"""


class RequestError(Exception):
    """A request that is not answered; its text is the protocol's ``error``.

    Args:
        status: The HTTP status.
        message: What was received, what was expected and how to put it right; no values of samples.
        retry_after_s: Whole seconds after which the same request may succeed, or None.
    """

    def __init__(self, status: int, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s
