"""edgepack serve: a bundle's model behind an HTTP port of this machine."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    bundle: Annotated[Path, typer.Argument(help="A bundle: out/<recipe>/<target>.")],
    artifact: Annotated[str | None, typer.Option(help="The file to serve; default: the manifest's choice.")] = None,
    runtime: Annotated[str | None, typer.Option(help="What runs it; default: the manifest's choice.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of one inference; default: the target's.")] = None,
    instances: Annotated[int | None, typer.Option(min=1, help="Copies of the model that run at once.")] = None,
    max_batch: Annotated[int, typer.Option(min=1, help="Rows of one inference, where the batch axis is free.")] = 32,
    token_file: Annotated[Path | None, typer.Option(help="Tokens, one a line: requests need one of them.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain, PEM; with --tls-key.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key of the certificate, PEM.")] = None,
    log: Annotated[str, typer.Option(help="all: a line for each request; errors: for refused ones only.")] = "all",
) -> int:
    """Serve a bundle's model here, as its image does: Open Inference Protocol v2 over HTTP."""
    from edgepack import __version__
    from edgepack import bundle as bundles
    from edgepack.errors import DeviceError, RecipeError
    from edgepack.runner.errors import RunnerError, UsageError
    from edgepack.serving.options import Options
    from edgepack.serving.server import serve

    folder = bundles.require(bundle)
    try:
        options = Options(
            bundle=folder,
            artifact=artifact,
            runtime=runtime,
            host=host,
            port=port,
            threads=threads,
            instances=instances,
            max_batch=max_batch,
            token_file=token_file,
            tls_cert=tls_cert,
            tls_key=tls_key,
            log=log,
            version=__version__,
        )
        return serve(options)
    except UsageError as error:
        raise RecipeError(str(error), fix="see `edgepack serve --help`") from error
    except RunnerError as error:
        raise DeviceError(str(error), fix="see the reason above; `edgepack doctor` tells what is installed") from error
