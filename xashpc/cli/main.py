"""The ``xashpc`` command: one group, one module for each noun."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
import warnings

import click

from xashpc import __version__
from xashpc.cli.settings import Settings
from xashpc.errors import XasHpcError

EPILOG = """
\b
Examples:
  xashpc run workflows/kedge_lce.yaml        compute, process, train, report
  xashpc find --element Cu --label T4        query the results store
  xashpc show 3fa9 --plot spectrum.png       one spectrum with its whole history
  xashpc web                                 the results in a browser
  xashpc db start                            the embedded database, for one machine
"""


# Command -> "module:attribute" below xashpc.cli; each is imported when it is asked for, so that
# asking the store does not wait for what a campaign needs.
COMMANDS = {
    "bundle": "bundle:bundle",
    "campaigns": "campaign:campaigns",
    "compare": "compare:compare_",
    "db": "database:db",
    "doctor": "doctor:doctor",
    "engines": "engines:engines",
    "estimate": "estimate:estimate",
    "export": "exporting:export",
    "farm": "farm:farm",
    "files": "results:files",
    "find": "results:find",
    "import": "importing:import_",
    "ledge": "ledge_nets:ledge",
    "nearest": "nearest:nearest",
    "oxygen": "oxygen:oxygen",
    "predict": "predict:predict",
    "refusals": "campaign:refusals",
    "reproduce": "reproduce:reproduce",
    "run": "campaign:run",
    "show": "results:show",
    "sites": "sites:sites",
    "site": "site:site",
    "studies": "study:studies",
    "trace": "lineage:trace",
    "train": "train:train",
    "verify": "lineage:verify",
    "web": "web:web",
    "worker": "worker:worker",
}


class LazyGroup(click.Group):
    """A group whose commands are imported by their first use."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name].split(":")
        return getattr(importlib.import_module(f"xashpc.cli.{module}"), attribute)


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xashpc")
@click.option("--debug", is_flag=True, help="Show tracebacks and debug messages.")
@click.option(
    "--launchpad",
    type=click.Path(dir_okay=False),
    envvar="XASHPC_LAUNCHPAD",
    help="my_launchpad.yaml of the database; default: the one in this folder.",
)
@click.pass_context
def cli(context: click.Context, debug: bool, launchpad: str | None) -> None:
    """High-throughput x-ray absorption: structures to spectra to trained networks."""
    context.obj = Settings(launchpad=launchpad, debug=debug)
    if not debug:
        # TensorFlow, if a command comes to load it, tells of its build before it obeys anybody.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    if not debug:
        # pymatgen warns about every rounded CIF coordinate; the campaign's refusals are what counts
        warnings.filterwarnings("ignore", module="pymatgen")
        # FireWorks has handlers of its own, and sends everything down to DEBUG to ours as well
        for name in ("launchpad", "rocket.launcher", "queue.launcher"):
            logging.getLogger(name).propagate = False


def main() -> None:
    """Entry point: errors of ours become one message and exit status 1."""
    try:
        # Without standalone mode click returns the status of context.exit() instead of ending.
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except XasHpcError as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        click.secho("Error: ", fg="red", nl=False, err=True)
        click.echo(str(error), err=True)
        sys.exit(1)
    except BrokenPipeError:  # the reader of our output left, e.g. head
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        told = _told(error)
        if told is None or "--debug" in sys.argv:
            raise
        click.secho("Error: ", fg="red", nl=False, err=True)
        click.echo(told, err=True)
        sys.exit(1)


def _told(error: Exception) -> str | None:
    """What to say of a full disk, a forbidden folder or a lost database; None for our mistakes."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if type(error).__module__.partition(".")[0] == "pymongo":  # FireWorks has its own connection
        reason = str(error).partition(" (configured")[0]
        return (
            f"the database of FireWorks does not answer or refuses: {reason}. 'xashpc db status' "
            "says whether the embedded one runs; else check my_launchpad.yaml"
        )
    return None


if __name__ == "__main__":
    main()
