"""Examples in the help of every command: they are there, and what they name exists."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest

from xashpc.cli.main import cli


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple, list]]:
    """Every command with the chain of groups that it is in, itself the last."""

    def walk(found: click.Command, names: tuple[str, ...], chain: list) -> Iterator:
        chain = [*chain, found]
        if isinstance(found, click.Group):
            context = click.Context(found)
            for name in found.list_commands(context):
                yield from walk(found.get_command(context, name), (*names, name), chain)
        else:
            yield names, chain

    return walk(command, path, [])


def examples(command: click.Command) -> list[list[str]]:
    """Arguments of ``xashpc`` in each line that calls it, continued lines joined."""
    text = (command.epilog or "").replace("\\\n", " ")
    lines = (line.strip() for line in text.splitlines())
    # What follows three blanks is a remark; what follows a pipe or a > is the shell's.
    calls = [line for line in lines if line.startswith(("xashpc ", "mpirun ", "srun "))]
    found = [line.partition("xashpc ")[2].split("   ")[0] for line in calls]
    return [shlex.split(line.split(" > ")[0]) for line in found]


ALL = list(commands(cli, ()))
EXAMPLES = {" ".join(w): w for _, chain in ALL for command in chain for w in examples(command)}


@pytest.mark.parametrize(("names", "chain"), ALL, ids=[" ".join(names) for names, _ in ALL])
def test_every_command_or_its_group_has_examples(names, chain):
    own = [examples(command) for command in chain[1:]]
    assert any(own), f"xashpc {' '.join(names)} --help shows no example"


@pytest.mark.parametrize("words", EXAMPLES.values(), ids=EXAMPLES)
def test_commands_and_options_of_an_example_exist(words):
    command: click.Command = cli
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, words
        command, words = found, words[1:]
    with click.Context(command) as context:
        command.make_parser(context).parse_args(list(words))  # fails on an unknown option
    required = [p for p in command.params if p.required and isinstance(p, click.Option)]
    for option in required:
        assert any(word in option.opts for word in words), (option.name, words)


def test_a_comparison_of_an_example_names_its_absorber():
    (command,) = [chain[-1] for names, chain in ALL if names == ("compare",)]
    for words in examples(command):
        assert {"--site", "--element"} & set(words), words
