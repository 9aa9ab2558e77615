"""``xashpc web``: the results store in a browser."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click

from xashpc.cli.database import find_launchpad, open_store
from xashpc.cli.settings import Settings
from xashpc.errors import ConfigError
from xashpc.extras import require
from xashpc.flows.local import open_launchpad
from xashpc.flows.watch import WorkflowWatch

DEFAULT_PORT = 8765


@click.command(
    epilog="""
\b
Examples:
  xashpc web                                   http://127.0.0.1:8765/, this machine only
  xashpc web --results /scratch/me/results
  xashpc web --host 0.0.0.0 --token-file ~/.xashpc-token

From another machine, ssh -L 8765:127.0.0.1:8765 HOST needs no open port and encrypts."""
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True,
              help="0: any free one.")  # fmt: skip
@click.option("--token", is_flag=True, help="Ask for a token on this machine as well.")
@click.option("--token-file", type=click.Path(dir_okay=False, path_type=Path),
              help="Take the token of this file (mode 600) instead of a new one.")  # fmt: skip
@click.option("--allow-host", multiple=True, metavar="NAME",
              help="A further name by which browsers call this server.")  # fmt: skip
@click.option("--results", type=click.Path(file_okay=False, path_type=Path),
              help="Folder of results. [default: results, if it is there]")  # fmt: skip
@click.option("--fireworks-url", metavar="URL", help="Where 'lpad webgui' is, to link to it.")
@click.pass_obj
def web(
    settings: Settings,
    host: str,
    port: int,
    token: bool,
    token_file: Path | None,
    allow_host: tuple[str, ...],
    results: Path | None,
    fireworks_url: str | None,
) -> None:
    """Show campaigns, spectra, failures and models in a browser. It only reads."""
    require("flask", extra="web", purpose="the dashboard", package="Flask")
    from xashpc.web import guard, serving
    from xashpc.web.app import create_app

    secret, made = None, False
    if token_file is not None:
        secret = guard.read_token(token_file)
    elif token or not guard.is_loopback(host):
        secret, made = guard.new_token(), True
    with open_store(settings) as store:
        store.campaigns()  # a database that is away is said now, not on the first page
        app = create_app(
            store,
            guard.Guard(secret, host, allow_host),
            watch=WorkflowWatch(open_launchpad(find_launchpad(settings))),
            results=_results(results),
            fireworks_url=_checked(fireworks_url),
        )
        server = serving.bind(app, host, port)

        def announce() -> None:
            click.echo(f"The dashboard is at {serving.address(server, host)} (Ctrl-C ends it)")
            if made:
                click.echo(f"Token, shown this once: {secret}", err=True)
            if not guard.is_loopback(host):
                click.echo(
                    "It is not encrypted: over a network you do not trust, use an ssh tunnel or a "
                    "proxy with TLS.", err=True,
                )  # fmt: skip

        serving.serve(server, announce)


def _results(given: Path | None) -> Path | None:
    folder = (given or Path("results")).resolve()
    if folder.is_dir():
        return folder
    if given is not None:
        raise ConfigError(f"there is no folder {folder}")
    return None


def _checked(url: str | None) -> str | None:
    """A link that is only ever http or https."""
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ConfigError(
            "--fireworks-url must look like http://127.0.0.1:5000, without user or password"
        )
    return url.rstrip("/")
