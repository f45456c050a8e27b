"""The files that a coin run leaves: one line per scored moment, and the states that unfinished rounds go on from."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_events import CoinMoment, moment_from_json, moment_to_json
from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_result import CoinResult, coin_result
from hallulab.experiments.coin_round import RoundState
from hallulab.experiments.coin_settings import VARIANTS, CoinSettings
from hallulab.records import RecordFile, library_versions
from hallulab.scoring.coin_rule import CoinRule
from hallulab.scoring.coin_table import scored_table

RECORDS_PATTERN = "coins-*.jsonl"


class CoinRecords:
    """The records of one run, and the states beside them.

    Args:
        path: of the file; it need not exist yet.
    """

    def __init__(self, path: Path | str):
        self.file = RecordFile(path)

    @property
    def path(self) -> Path:
        """Of the file."""
        return self.file.path

    def begin(self, settings: CoinSettings) -> tuple[CoinSettings, tuple[CoinMoment, ...]]:
        """What an earlier, perhaps killed run with these settings left; a file of its own otherwise.

        Returns: the settings to train by, whose rule is that of the first command, as the held-out flips of every round
        are scored by one rule; and the recorded moments, by seed and epoch.
        Raises RefusedInputError when the file belongs to a run that was trained in another way, or is damaged.
        """
        self.check(settings)
        found = self._read()
        if found is None:
            header = {"kind": "settings", "settings": asdict(settings), "versions": library_versions()}
            self.file.append(header)
            return settings, ()
        recorded, moments = found
        return settings.judged_by(recorded.rule), moments

    def check(self, settings: CoinSettings) -> None:
        """Refuse, in words, when a run with these settings cannot go on in this file."""
        found = self._read()
        if found is None:
            return
        # rounds can be added, and any line can judge what was measured
        theirs = asdict(replace(found[0].judged_by(settings.rule), rounds=settings.rounds))
        differing = [name for name, value in asdict(settings).items() if theirs[name] != value]
        if differing:
            raise RefusedInputError(
                f"expected a run with the same settings in {self.path}, got another "
                f"{', '.join(differing)}: choose another folder"
            )

    def result(self, rule: CoinRule | None = None) -> CoinResult:
        """The recorded run, judged by its own rule or another.

        Raises RefusedInputError for a file that holds no run of this version.
        """
        found = self._read()
        if found is None:
            raise self._refusal("it has no settings")
        recorded, moments = found
        n_found = 1 + max((moment.seed for moment in moments), default=recorded.seed) - recorded.seed
        settings = replace(recorded, rounds=max(recorded.rounds, n_found))
        return coin_result(settings.judged_by(rule or recorded.rule), moments, measured_by=recorded.rule)

    def measured_by(self) -> CoinRule:
        """The rule by which held-out flips are scored: that of the first command.

        Raises RefusedInputError for a file that holds no run of this version.
        """
        found = self._read()
        if found is None:
            raise self._refusal("it has no settings")
        return found[0].rule

    def versions(self) -> dict[str, str]:
        """Of the libraries that the run was started with."""
        header = next((record for record in self.file.read() if record.get("kind") == "settings"), {})
        versions = header.get("versions")
        return (
            {str(name): str(version) for name, version in versions.items()}
            if isinstance(versions, dict)
            else {}
        )

    def append(self, moment: CoinMoment) -> None:
        """Keep a moment."""
        self.file.append({"kind": "moment"} | moment_to_json(moment))

    def save_state(self, state: RoundState) -> None:
        """Replace the state of this round by a later one, whole or not at all."""
        path = self._state_path(state.seed)
        written = path.with_suffix(".part")
        save_file(state.tensors, written, metadata={"n_epochs": str(state.n_epochs)})
        with written.open("rb") as file:
            os.fsync(file.fileno())
        written.replace(path)

    def states(self, seeds: Iterable[int], moments: Sequence[CoinMoment]) -> list[RoundState]:
        """States whose epochs are recorded; a round without a readable one starts anew."""
        recorded = {(moment.seed, moment.epoch) for moment in moments}
        found = [self._state(seed) for seed in seeds]
        return [state for state in found if state and (state.seed, state.n_epochs) in recorded]

    def delete_states(self) -> None:
        """Once every round that was asked for is finished, nobody goes on from any of them."""
        for kind in ("safetensors", "part"):
            for path in self.path.parent.glob(f"{self.path.stem}-seed*.{kind}"):
                path.unlink(missing_ok=True)

    def _state_path(self, seed: int) -> Path:
        return self.path.with_name(f"{self.path.stem}-seed{seed}.safetensors")

    def _state(self, seed: int) -> RoundState | None:
        """None, and no file any more, where it is missing or cannot be read."""
        path = self._state_path(seed)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                n_epochs = int(file.metadata()["n_epochs"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, TypeError, ValueError):
            path.unlink(missing_ok=True)
            return None
        return RoundState(seed, n_epochs, tensors)

    def _read(self) -> tuple[CoinSettings, tuple[CoinMoment, ...]] | None:
        """Settings of the first command and every moment, by seed and epoch; None for a file that is yet to be made."""
        if self.path.is_dir():
            raise self._refusal("it is a folder")
        try:
            records = self.file.read()
            is_begun = records or (self.path.exists() and b"\n" in self.path.read_bytes())
        except OSError as error:
            raise self._refusal(error.strerror or str(error)) from error
        if not is_begun:  # no file, or one whose first line was torn by a kill
            return None
        if not records or records[0].get("kind") != "settings":
            raise self._refusal("its first line holds no settings")
        try:
            settings = CoinSettings(**records[0]["settings"])
        except (KeyError, TypeError, RefusedInputError) as error:
            raise self._refusal(f"its settings are no settings of a run ({error})") from error
        return settings, self._moments(settings, records[1:])

    def _moments(self, settings: CoinSettings, records: Sequence[dict[str, Any]]) -> tuple[CoinMoment, ...]:
        """By seed and epoch. A killed round is run again, so a moment may be recorded twice: the later counts."""
        objective = OBJECTIVES[settings.objective]
        n_outputs = len(scored_table(settings.coins_per_draw).labels) * objective.n_outputs(
            settings.coins_per_draw
        )
        latest: dict[tuple[int, float], CoinMoment] = {}
        for record in records:
            if record.get("kind") != "moment":
                continue
            try:
                moment = moment_from_json(record, answers=objective.answers, n_outputs=n_outputs)
            except RefusedInputError as error:
                raise self._refusal(str(error)) from error
            latest[moment.seed, moment.epoch] = moment
        return tuple(sorted(latest.values(), key=lambda moment: (moment.seed, moment.epoch)))

    def _refusal(self, why: str) -> RefusedInputError:
        return RefusedInputError(
            f"expected the records of a coin run of this version in {self.path}, but {why}: "
            "run it again in another folder"
        )


def records_path(folder: Path, settings: CoinSettings) -> Path:
    """The file below `folder` that holds this run's moments."""
    name = f"coins-N{settings.coins_per_draw}-{settings.variant}-{settings.objective}.jsonl"
    return folder / name


def read_runs(folder: Path, rule: CoinRule | None = None) -> tuple[CoinResult, ...]:
    """Every run recorded in a folder, finished or killed, by N, variant and objective.

    Args:
        folder: as `coins --out` leaves it.
        rule: by which all of them are judged; each by its own when None.

    Raises RefusedInputError for a folder without coin runs, or records that this version cannot read.
    """
    results = [CoinRecords(path).result(rule) for path in folder.glob(RECORDS_PATTERN)]
    if not results:
        raise RefusedInputError(
            f"expected a folder with a coin run ({RECORDS_PATTERN}), found none in {folder}: "
            "make one with `python -m hallulab coins --out FOLDER`"
        )
    return tuple(sorted(results, key=_grid_order))


def _grid_order(result: CoinResult) -> tuple[int, int, int]:
    settings = result.settings
    return (
        settings.coins_per_draw,
        list(VARIANTS).index(settings.variant),
        list(OBJECTIVES).index(settings.objective),
    )
