"""Of what is the name of an image put together?

Regular expressions, as https://github.com/distribution/reference/blob/main/reference.go has them.
"""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"

DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
PORT = r"(?::[0-9]{1,5})?"
PATH = rf"{_PART}(?:/{_PART})*"
TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
