"""Times and memory as SLURM and PBS write them."""

from __future__ import annotations

import pytest

from xashpc.cluster.formats import format_walltime, memory_megabytes, walltime_seconds
from xashpc.errors import ConfigError


@pytest.mark.parametrize(
    ("scheduler", "text", "seconds"),
    [
        ("slurm", "30", 1800),  # minutes
        ("slurm", "30:15", 1815),
        ("slurm", "4:00:00", 14400),
        ("slurm", "1-12", 129600),
        ("slurm", "1-12:30", 131400),
        ("slurm", "2-00:00:05", 172805),
        ("pbspro", "30", 30),  # seconds
        ("torque", "30:15", 1815),
        ("pbspro", "100:00:00", 360000),
    ],
)
def test_walltimes_are_read_as_the_scheduler_reads_them(scheduler, text, seconds):
    assert walltime_seconds(text, scheduler) == seconds


@pytest.mark.parametrize("scheduler", ["slurm", "pbspro"])
@pytest.mark.parametrize("text", ["", "4h", "1:2:3:4", "-1", "0", "00:00:00", "1.5", "two"])
def test_no_walltimes(scheduler, text):
    with pytest.raises(ConfigError):
        walltime_seconds(text, scheduler)


def test_days_are_no_pbs_walltime():
    with pytest.raises(ConfigError, match="HH:MM:SS"):
        walltime_seconds("1-12:00:00", "pbspro")


@pytest.mark.parametrize(
    ("scheduler", "text", "megabytes"),
    [
        ("slurm", "2000", 2000),
        ("slurm", "2G", 2048),
        ("slurm", "512k", 0.5),
        ("pbspro", "2gb", 2048),
        ("pbspro", "1048576", 1),
        ("torque", "2000mb", 2000),
        ("torque", "1mw", 8),
    ],
)
def test_memory_is_read_as_the_scheduler_reads_it(scheduler, text, megabytes):
    assert memory_megabytes(text, scheduler) == megabytes


@pytest.mark.parametrize(("scheduler", "text"), [("slurm", "2GB"), ("pbspro", "2G"), ("slurm", "")])
def test_no_memory(scheduler, text):
    with pytest.raises(ConfigError):
        memory_megabytes(text, scheduler)


def test_a_walltime_is_written_rounded_up_to_a_minute():
    assert format_walltime(3601) == "01:01:00"
    assert format_walltime(100 * 3600) == "100:00:00"
