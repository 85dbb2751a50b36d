"""What answers requests over HTTP for a bundle's model, and what must an image hold for it?

Standard library, numpy, the runner and the packages below; nothing else of edgepack. Importing this package imports
none of them: an image that only measures does not pay for a server.
"""

# Complete, to be resolved without dependencies. uvicorn parses with httptools, so h11 stays out; anyio asks for idna
# only where it opens connections, which a server does not.
REQUIREMENTS = (
    "anyio",
    "click",
    "httptools",
    "orjson",
    "prometheus-client",
    "starlette",
    "typing-extensions",
    "uvicorn",
)
# What neither the server nor the imports of what it uses reach.
EXCLUDE = (
    "anyio/_backends/_trio.py",
    "anyio/pytest_plugin.py",
    "click/_winconsole.py",
    "click/testing.py",
    "httptools/*.pyx",
    "httptools/*.pxd",
    "prometheus_client/aiohttp/*",
    "prometheus_client/bridge/*",
    "prometheus_client/django/*",
    "prometheus_client/twisted/*",
    "starlette/middleware/wsgi.py",
    "starlette/staticfiles.py",
    "starlette/templating.py",
    "starlette/testclient.py",
    "uvicorn/protocols/websockets/*",
    "uvicorn/protocols/http/h11_impl.py",
    "uvicorn/protocols/http/*zttp*",
)
