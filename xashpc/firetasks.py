"""Thin FireWorks adapters. Their path is stored in users' databases and never moves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fireworks import FiretaskBase, FWAction, LaunchPad, explicit_serialize

from xashpc.cluster.walltime import JobClock
from xashpc.flows.chunks import check_walltime, run_chunk
from xashpc.flows.config import CampaignConfig, open_campaign
from xashpc.flows.requeue import requeue
from xashpc.flows.workflow import expanded_workflow
from xashpc.recovery.signals import Terminated, terminate_as_exception
from xashpc.storage import Store

# What only some tasks need is imported by these: most workers run chunks alone, and planning and
# processing load for seconds of CPU time in each of them.

RESULTS_VARIABLE = "XASHPC_RESULTS"


class _CampaignTask(FiretaskBase):
    """What every task shares: the store beside the launchpad, and the results folder."""

    #: Whether the task itself says which calculation needs more than a job's walltime.
    judges_each = False

    def _store(self) -> Store:
        pad: LaunchPad = self.launchpad
        store = Store.from_launchpad(
            host=pad.host,
            port=pad.port,
            name=pad.name,
            username=pad.username,
            password=pad.password,
            authsource=pad.authsource,
            uri_mode=pad.uri_mode,
            mongoclient_kwargs=pad.mongoclient_kwargs,
        )
        store.prepare()
        return store

    @staticmethod
    def _results(spec: dict[str, Any]) -> Path:
        """``results_root`` of my_fworker.yaml's env, else $XASHPC_RESULTS, else a home folder."""
        root = spec.get("_fw_env", {}).get("results_root") or os.environ.get(RESULTS_VARIABLE)
        path = Path(root).expanduser() if root else Path.home() / "xashpc-results"
        return path.resolve() / spec["campaign_id"]

    def _run_stage(self, spec: dict[str, Any], stage: Any) -> FWAction:
        with self._requeued_when_stopped(), self._store() as store:
            config = open_campaign(store, spec["campaign_id"])
            summary = stage(store, config, self._results(spec))
        return FWAction(stored_data=summary)

    @contextmanager
    def _requeued_when_stopped(self) -> Iterator[list[Path]]:
        """SIGTERM, Ctrl-C or the end of the queue job: give the Firework back, then really stop.

        Yields a list for the checkpoints of what goes on from there: if one of them is written
        meanwhile, the work may take as many jobs as it needs.

        Engines are dead by now. FireWorks would mark the Firework FIZZLED and go on with the next
        one, which is not what somebody who stops a worker wants.
        """
        checkpoints: list[Path] = []
        clock, started, begun = JobClock.from_environment(), time.monotonic(), time.time()
        try:
            with terminate_as_exception(clock.cut_s):
                yield checkpoints
        except (Terminated, KeyboardInterrupt, SystemExit) as stop:
            # Who judges each calculation is never at fault as a whole; nor is a training that
            # got on: it needs more than one job.
            went_on = any(path.exists() and path.stat().st_mtime >= begun for path in checkpoints)
            if isinstance(stop, Terminated) and not (self.judges_each or went_on):
                check_walltime(stop, time.monotonic() - started, clock, type(self).__name__)
            requeue(self.launchpad, self.fw_id)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            raise


@explicit_serialize
class PlanTask(_CampaignTask):
    """Expand a campaign into chunks. Argument ``campaign``: see CampaignConfig."""

    required_params = ["campaign"]

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.stages import plan_stage

        config = CampaignConfig.from_dict(self["campaign"])
        results = self._results({**fw_spec, "campaign_id": config.campaign_id})
        with self._requeued_when_stopped(), self._store() as store:
            chunks, summary = plan_stage(store, config, results)
        return FWAction(stored_data=summary, additions=[expanded_workflow(config, chunks)])


@explicit_serialize
class ChunkTask(_CampaignTask):
    """Run the calculations with the content keys ``keys``."""

    judges_each = True
    required_params = ["keys"]

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        with self._requeued_when_stopped(), self._store() as store:
            config = open_campaign(store, fw_spec["campaign_id"])
            counts = run_chunk(store, config, self["keys"], Path.cwd(), JobClock.from_environment())
        return FWAction(stored_data=dict(counts))


@explicit_serialize
class ImportTask(_CampaignTask):
    """Bring existing spectra into the campaign."""

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.stages import import_stage

        return self._run_stage(fw_spec, import_stage)


@explicit_serialize
class ProcessTask(_CampaignTask):
    """Make the zarr datasets."""

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.stages import process_stage

        return self._run_stage(fw_spec, process_stage)


@explicit_serialize
class TrainTask(_CampaignTask):
    """Evaluate and train the classifiers."""

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.stages import train_stage

        return self._run_stage(fw_spec, train_stage)


@explicit_serialize
class ReportTask(_CampaignTask):
    """Write the HTML report."""

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.stages import report_stage

        return self._run_stage(fw_spec, report_stage)


@explicit_serialize
class PlanLedgeTask(_CampaignTask):
    """Expand a campaign of model spectra into blocks. Argument ``campaign``: see LedgeConfig."""

    required_params = ["campaign"]

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.ledge_config import LedgeConfig
        from xashpc.flows.ledge_stages import plan_ledge
        from xashpc.flows.ledge_workflow import expanded_ledge

        config = LedgeConfig.from_dict(self["campaign"])
        results = self._results({**fw_spec, "campaign_id": config.campaign_id})
        with self._requeued_when_stopped(), self._store() as store:
            summary = plan_ledge(store, config, results)
        return FWAction(stored_data=summary, additions=[expanded_ledge(config)])


@explicit_serialize
class LedgeChunkTask(_CampaignTask):
    """Compute the blocks of ``ion`` whose first rows are ``starts``."""

    required_params = ["ion", "starts"]

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.ledge_blocks import run_blocks
        from xashpc.flows.ledge_stages import open_ledge

        with self._requeued_when_stopped(), self._store() as store:
            config = open_ledge(store, fw_spec["campaign_id"])
            results = self._results(fw_spec)
            counts = run_blocks(store, config, self["ion"], self["starts"], results)
        return FWAction(stored_data=dict(counts))


@explicit_serialize
class LedgeFinishTask(_CampaignTask):
    """Check the datasets of model spectra against the database and close the campaign."""

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.ledge_stages import finish_ledge, open_ledge

        with self._requeued_when_stopped(), self._store() as store:
            config = open_ledge(store, fw_spec["campaign_id"])
            summary = finish_ledge(store, config, self._results(fw_spec))
        return FWAction(stored_data=summary)


@explicit_serialize
class TrainNetworkTask(_CampaignTask):
    """Train a network on zarr datasets, on several ranks if asked. Argument ``training``."""

    required_params = ["training"]

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.training import job_from_dict, run_training

        job = job_from_dict(self["training"], self._results({**fw_spec, "campaign_id": ""}))
        with self._requeued_when_stopped() as checkpoints:
            checkpoints.append(job.checkpoint)
            return FWAction(stored_data=run_training(job))


@explicit_serialize
class PlanActiveTask(_CampaignTask):
    """Plan an active-learning campaign and its first round. Argument ``campaign``: its kinds are
    in :mod:`xashpc.flows.active_kinds`.
    """

    required_params = ["campaign"]

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.active import plan_active
        from xashpc.flows.active_kinds import active_config
        from xashpc.flows.active_workflow import round_workflow

        config = active_config(self["campaign"])
        results = self._results({**fw_spec, "campaign_id": config.campaign_id})
        with self._requeued_when_stopped(), self._store() as store:
            summary = plan_active(store, config, results)
        return FWAction(
            stored_data=summary, additions=[round_workflow(config, 0, summary["starts"])]
        )


@explicit_serialize
class ActiveChunkTask(_CampaignTask):
    """Compute the rows chosen for round ``number`` from the ``start``-th on."""

    required_params = ["number", "start"]

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.active import open_active, run_active_chunk

        with self._requeued_when_stopped(), self._store() as store:
            config, results = open_active(store, fw_spec["campaign_id"]), self._results(fw_spec)
            self.judges_each = config.judges_each
            counts = run_active_chunk(
                store, config, self["number"], self["start"], results, Path.cwd()
            )
        return FWAction(stored_data=counts)


@explicit_serialize
class ActiveRoundTask(_CampaignTask):
    """Train on all rounds up to ``number``, choose the next round's rows and bring its workflow."""

    required_params = ["number"]

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.active import end_round, open_active
        from xashpc.flows.active_workflow import round_workflow

        with self._requeued_when_stopped(), self._store() as store:
            config = open_active(store, fw_spec["campaign_id"])
            summary = end_round(store, config, self["number"], self._results(fw_spec))
        following = (
            [round_workflow(config, self["number"] + 1, summary["starts"])]
            if summary["more"]
            else []
        )
        return FWAction(stored_data=summary, additions=following)


@explicit_serialize
class PlanStudyTask(_CampaignTask):
    """Expand a study of trainings into its members. Argument ``campaign``: see StudyConfig."""

    required_params = ["campaign"]

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.study import plan_study
        from xashpc.flows.study_config import StudyConfig
        from xashpc.flows.study_workflow import expanded_study

        config = StudyConfig.from_dict(self["campaign"])
        results = self._results({**fw_spec, "campaign_id": config.campaign_id})
        with self._requeued_when_stopped(), self._store() as store:
            summary = plan_study(store, config, results)
        return FWAction(stored_data=summary, additions=[expanded_study(config)])


@explicit_serialize
class StudyMemberTask(_CampaignTask):
    """Train member ``number`` of a study, on several ranks if asked."""

    required_params = ["number"]

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.study import open_study, run_member

        with self._requeued_when_stopped() as checkpoints, self._store() as store:
            config, results = open_study(store, fw_spec["campaign_id"]), self._results(fw_spec)
            checkpoints.append(config.job(config.members()[self["number"]], results).checkpoint)
            summary = run_member(store, config, self["number"], results)
        return FWAction(stored_data=summary)


@explicit_serialize
class StudyCollectTask(_CampaignTask):
    """Put what the members of a study came to into the store, a table and a figure."""

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        from xashpc.flows.study import collect_study, open_study

        with self._requeued_when_stopped(), self._store() as store:
            config = open_study(store, fw_spec["campaign_id"])
            summary = collect_study(store, config, self._results(fw_spec))
        return FWAction(stored_data=summary)
