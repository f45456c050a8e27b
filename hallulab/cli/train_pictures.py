"""`train pictures`: fine-tune the UNet of a preset's pipeline; also under `accelerate launch`."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hallulab.cli.console import print_json, print_table, quiet_stdout
from hallulab.cli.world import given, output_folder
from hallulab.engine.presets import DEFAULT_PRESET, Preset, load_preset
from hallulab.engine.quiet import quiet_libraries
from hallulab.errors import RefusedInputError
from hallulab.records import folder_sha256

if TYPE_CHECKING:
    from hallulab.training.unet_tuning import UnetTuning

PAPER_DATA, PAPER_STATES = "huggan/AFHQ", ("cat", "dog")
N_CHECKPOINTS = 4
"""checkpoints of a run whose number of steps was chosen and whose checkpoints were not"""
UNSET_FLAGS = {
    "cosine": "--constant", "gradient_checkpointing": "--keep-activations", "keep_states": "--last-state",
}  # fmt: skip
"""what says no to an option"""
LOOP_OPTIONS = {
    "steps": "n_steps", "learning_rate": "learning_rate", "warmup_steps": "warmup_steps", "cosine": "cosine",
    "weight_decay": "weight_decay", "ema_decay": "ema_decay", "clip_norm": "clip_norm",
    "save_every": "save_every_steps",
}  # fmt: skip
"""options by the name of their field in `LoopSettings`"""
TUNING_OPTIONS = {
    "batch_size": "batch_size", "accumulation_steps": "accumulation_steps", "precision": "precision",
    "gradient_checkpointing": "gradient_checkpointing", "keep_states": "keep_states", "seed": "seed",
}  # fmt: skip
"""options by the name of their field in `UnetTuning`"""


def train_pictures(
    out: Annotated[
        Path, typer.Option(help="Folder of the run; the same command goes on with what it holds.")
    ],
    data: Annotated[
        str | None,
        typer.Option(
            help="pet-faces, a folder with one subfolder per state, or a data set of the Hub such as huggan/AFHQ. "
            "Default: pet-faces in the small world, else huggan/AFHQ."
        ),
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="A state to learn, such as cat; all by default. Repeatable.")
    ] = None,
    caption: Annotated[
        list[str] | None,
        typer.Option(help="A caption with {state} in it; each image keeps one of them. Repeatable."),
    ] = None,
    skip_unusable: Annotated[
        bool, typer.Option("--skip-unusable", help="Leave out broken images and rare colour modes.")
    ] = False,
    drawings: Annotated[int | None, typer.Option(help="Drawings made, of pet-faces.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="The world whose pipeline is tuned; HALLULAB_PRESET by default.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="A UNet to start from: a checkpoint's name or a folder.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the optimiser.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures of one step, over all processes.")] = None,
    accumulation_steps: Annotated[
        int | None, typer.Option(help="Parts each process computes its pictures in, to save memory.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of AdamW.")] = None,
    warmup_steps: Annotated[int | None, typer.Option(help="Steps over which it rises.")] = None,
    cosine: Annotated[
        bool | None, typer.Option("--cosine/--constant", help="Whether it then falls or stays.")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of AdamW.")] = None,
    ema_decay: Annotated[float | None, typer.Option(help="Of the average of weights; 0 for none.")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Largest norm of a gradient.")] = None,
    caption_dropout: Annotated[float | None, typer.Option(help="Share of captions emptied.")] = None,
    checkpoint_step: Annotated[
        list[int] | None, typer.Option(help="A step after which the UNet is kept. Repeatable.")
    ] = None,
    save_every: Annotated[int | None, typer.Option(help="A killed run loses at most these steps.")] = None,
    keep_states: Annotated[
        bool | None,
        typer.Option(
            "--keep-states/--last-state",
            help="Keep the optimiser's state of every checkpoint, as in the small world by default, or the last alone.",
        ),
    ] = None,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"] | None,
        typer.Option(help="Of the computation; the device decides by default."),
    ] = None,
    gradient_checkpointing: Annotated[
        bool | None,
        typer.Option("--gradient-checkpointing/--keep-activations", help="Less memory, a third more time."),
    ] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Stay on the CPU.")] = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads; torch decides by default.", min=1)] = None,
    log_with: Annotated[
        Literal["trackio"] | None, typer.Option(help="Where the training curve is logged as well.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.", min=0)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fine-tune the UNet on pictures with captions; run again, it goes on where it was killed."""
    world = load_preset(preset or os.environ.get("HALLULAB_PRESET"))
    place, states = _data_of(world, data, state)
    options = given(
        data=place, state=states, caption=caption, skip_unusable=skip_unusable or None, drawings=drawings,
        preset=None if world.name == DEFAULT_PRESET else preset or os.environ.get("HALLULAB_PRESET"),
        steps=steps, batch_size=batch_size, accumulation_steps=accumulation_steps, learning_rate=learning_rate,
        warmup_steps=warmup_steps, cosine=cosine, weight_decay=weight_decay, ema_decay=ema_decay,
        clip_norm=clip_norm, caption_dropout=caption_dropout, checkpoint_step=checkpoint_step,
        save_every=save_every, keep_states=keep_states, precision=precision,
        gradient_checkpointing=gradient_checkpointing, cpu=cpu or None, seed=seed, out=str(out),
    )  # fmt: skip
    options["from"] = start
    if log_with is not None and find_spec(log_with) is None:
        raise RefusedInputError(f"logging with {log_with} needs its package: pip install {log_with}")
    with quiet_stdout():
        found = _tune(world, options, output_folder(out), threads=threads, log_with=log_with)
    if found is None:  # another process of this run speaks
        return
    if as_json:
        print_json(found)
    else:
        _print(found)


def _data_of(world: Preset, data: str | None, states: list[str] | None) -> tuple[str, list[str] | None]:
    """The pictures asked for, or those the world is tuned on."""
    if data is not None and not data.strip():
        raise RefusedInputError(
            "expected a folder or the name of a data set for --data, got an empty one: name it"
        )
    if data is not None or world.name == DEFAULT_PRESET:
        return data or "pet-faces", states
    return PAPER_DATA, states or list(PAPER_STATES)


def _settings(world: Preset, options: Mapping[str, Any]) -> "UnetTuning":
    """The small world's numbers or the paper's, with what was chosen by hand in their place."""
    from hallulab.training.unet_tuning import UnetTuning

    usual = UnetTuning() if world.name == DEFAULT_PRESET else UnetTuning.as_in_paper()
    loop = {field: options[name] for name, field in LOOP_OPTIONS.items() if name in options}
    tuning = {field: options[name] for name, field in TUNING_OPTIONS.items() if name in options}
    chosen = options.get("checkpoint_step") or _checkpoint_steps(usual, options.get("steps"))
    return replace(usual, loop=replace(usual.loop, **loop), checkpoint_steps=tuple(chosen), **tuning)


def _checkpoint_steps(usual: "UnetTuning", n_steps: int | None) -> tuple[int, ...]:
    """The usual checkpoints, or as many at equal distances when the run has another length."""
    if n_steps is None or n_steps == usual.loop.n_steps:
        return usual.checkpoint_steps
    return tuple(sorted({max(1, n_steps * part // N_CHECKPOINTS) for part in range(1, N_CHECKPOINTS + 1)}))


def _tune(
    world: Preset, options: Mapping[str, Any], out: Path, *, threads: int | None, log_with: str | None
) -> dict[str, Any] | None:
    """The run; None in every process but the main one."""
    quiet_libraries()
    import torch

    from hallulab.data.captioned_pictures import open_captioned_pictures
    from hallulab.training.unet_checkpoints import TuningCard, tune_checkpoints
    from hallulab.training.unet_tuning import precision_of, start_accelerator

    if threads is not None:
        torch.set_num_threads(threads)
    settings = _settings(world, options)
    accelerator = start_accelerator(settings, cpu="cpu" in options, log_with=log_with)
    with accelerator.main_process_first():  # one process alone fetches from the Hub
        pictures = open_captioned_pictures(
            options["data"],
            states=options.get("state", ()),
            templates=options.get("caption", ()),
            skip_unusable="skip_unusable" in options,
            seed=settings.seed,
            **given(n_drawings=options.get("drawings"), caption_dropout=options.get("caption_dropout")),
        )
        pipeline, base = _pipeline(world, options["from"])
    if log_with is not None:
        accelerator.init_trackers("hallulab", init_kwargs={log_with: {"name": out.name}})
    tuned = tune_checkpoints(
        pipeline,
        pictures,
        settings,
        TuningCard(
            title=f"the UNet of {Path(world.pictures.pipeline).name} fine-tuned on {options['data']}",
            base=f"{base}; text encoder and autoencoder stay frozen",
            command=_command(options),
        ),
        size=world.pictures.size,
        out=out,
        work=out / "training",
        accelerator=accelerator,
    )
    accelerator.end_training()
    if not accelerator.is_main_process:
        return None
    return {
        "run": str(out),
        "preset": world.name,
        "data": pictures.description,
        "n_pictures": len(pictures),
        "skipped": list(pictures.skipped),
        "n_steps": settings.loop.n_steps,
        "device": str(accelerator.device),
        "precision": precision_of(accelerator),
        "n_processes": accelerator.num_processes,
        "checkpoints": [
            {
                "path": str(unet.path),
                "sha256": folder_sha256(unet.path),
                "step": unet.step,
                "train_loss": unet.loss,
                "state": None if unet.state is None else str(unet.state),
                "state_bytes": None if unet.state is None else unet.state.stat().st_size,
            }
            for unet in tuned
        ],
    }


def _pipeline(world: Preset, start: str | None) -> tuple[Any, str]:
    """The world's pipeline, around another UNet where one is named, and what the tuning starts from in words."""
    from hallulab.models.diffusion import load_pipeline, load_unet, with_unet

    pipeline = load_pipeline(world.pictures.pipeline)
    name = Path(world.pictures.pipeline).name
    if start is None or start == world.pictures.base_name:
        return pipeline, f"{name} (its UNet)"
    place = world.pictures.unets.get(start, start)
    return with_unet(pipeline, load_unet(place), f"the UNet {start}"), f"{name} with the UNet {start}"


def _command(options: Mapping[str, Any]) -> str:
    """The command that repeats a run."""
    words = ["python", "-m", "hallulab", "train", "pictures"]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is False:
            words.append(UNSET_FLAGS[name])
        elif value is True:
            words.append(flag)
        elif value is not None:
            for item in value if isinstance(value, list) else [value]:
                words += [flag, str(item)]
    return shlex.join(words)


def _print(found: Mapping[str, Any]) -> None:
    print(
        f"Tuned on {found['data']}: {found['n_steps']} steps on {found['device']}, "
        f"{len(found['checkpoints'])} checkpoints in {found['run']}."
    )
    if found["skipped"]:
        print(f"Left out, as asked, {len(found['skipped'])} images that cannot be used:")
        for name in found["skipped"]:
            print(f"  {name}")
    rows = [
        (str(unet["step"]), f"{unet['train_loss']:.4f}", unet["sha256"][:12], unet["path"])
        for unet in found["checkpoints"]
    ]
    print_table(("step", "training loss", "SHA-256", "folder"), rows)
    sizes = [unet["state_bytes"] for unet in found["checkpoints"] if unet["state_bytes"] is not None]
    if sizes:
        folder = Path(found["run"]) / "training" / "state"
        print(f"  the optimiser's state after each of them: {sum(sizes) / 1e6:,.0f} MB in {folder}")
    print(f"  use them: --unets {found['run']} with paint, sweep pictures, detectors or app")
