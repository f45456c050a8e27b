"""`doctor`: the device, the memory, the versions, the preset, and whether its checkpoints are whole."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from hallulab.cli.console import print_json
from hallulab.cli.world import home_from_environment, preset_from_environment
from hallulab.engine.presets import Preset, is_local, local_folder, preset_names
from hallulab.records import check_card, library_versions


@dataclass(frozen=True)
class CheckpointHealth:
    """Whether one checkpoint of the preset is as its card says."""

    name: str
    place: str
    ok: bool | None
    """None when nobody here can tell: the checkpoint is on the Hub."""
    problems: tuple[str, ...] = ()


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check device, memory, versions and checkpoints."""
    preset = preset_from_environment()
    checkpoints = [check_checkpoint(name, place) for name, place in checkpoint_places(preset).items()]
    healthy = not any(checkpoint.ok is False for checkpoint in checkpoints)
    report = {
        "ok": healthy,
        "preset": preset.name,
        "presets": list(preset_names()),
        **device_facts(),
        "home": str(home_from_environment()),
        "versions": library_versions(),
        "checkpoints": [asdict(checkpoint) for checkpoint in checkpoints],
    }
    print_json(report) if as_json else _print_report(report, checkpoints)
    raise typer.Exit(0 if healthy else 1)


def checkpoint_places(preset: Preset) -> dict[str, str]:
    """Name → folder or Hub id of everything the preset loads."""
    named = {"words": preset.checkpoints("words"), "pictures": preset.checkpoints("pictures")}
    places = {
        f"{kind}/{name}": place for kind, checkpoints in named.items() for name, place in checkpoints.items()
    }
    frame = {"frame": preset.pictures.frame} if preset.pictures.frame else {}
    return {**places, "clip": preset.pictures.clip_model, **frame}


def check_checkpoint(name: str, place: str) -> CheckpointHealth:
    """Compare a checkpoint's files with its card, which may also lie in the folder around it."""
    if not is_local(place):
        return CheckpointHealth(name, place, ok=None, problems=("on the Hub, not checked here",))
    folder = local_folder(place)
    if not folder.is_dir():
        return CheckpointHealth(name, place, ok=False, problems=(f"there is no folder {folder}",))
    problems = tuple(check_card(_folder_with_card(folder)))
    return CheckpointHealth(name, place, ok=not problems, problems=problems)


def device_facts() -> dict[str, Any]:
    """The device accelerate chooses, and the memory around it."""
    import psutil

    from hallulab.engine.device import choose_device, choose_dtype, default_budget_bytes, free_host_bytes

    device = choose_device()
    return {
        "device": str(device),
        "dtype": str(choose_dtype("auto", device)).removeprefix("torch."),
        "n_cpus": os.cpu_count(),
        "memory": {
            "total_bytes": psutil.virtual_memory().total,
            "free_bytes": free_host_bytes(),
            "models_may_fill_bytes": default_budget_bytes(device),
        },
    }


def _folder_with_card(folder: Path) -> Path:
    around = folder.parent
    return around if not (folder / "card.json").exists() and (around / "card.json").exists() else folder


def _print_report(report: dict[str, Any], checkpoints: list[CheckpointHealth]) -> None:
    broken = [checkpoint for checkpoint in checkpoints if checkpoint.ok is False]
    verdict = (
        f"{len(broken)} of {len(checkpoints)} checkpoints are broken."
        if broken
        else "Everything is in order."
    )
    memory = report["memory"]
    print(verdict)
    print(f"  preset   {report['preset']} (of {', '.join(report['presets'])})")
    print(f"  device   {report['device']}, {report['dtype']}, {report['n_cpus']} CPU cores")
    print(f"  memory   {memory['free_bytes'] / 1e9:.1f} GB free of {memory['total_bytes'] / 1e9:.1f} GB, "
          f"models may fill {memory['models_may_fill_bytes'] / 1e9:.1f} GB")  # fmt: skip
    print(f"  home     {report['home']}")
    print("  " + ", ".join(f"{name} {version}" for name, version in report["versions"].items()))
    for checkpoint in checkpoints:
        state = {True: "whole", False: "BROKEN", None: "remote"}[checkpoint.ok]
        print(f"  {state:7}  {checkpoint.name}: {'; '.join(checkpoint.problems) or checkpoint.place}")
