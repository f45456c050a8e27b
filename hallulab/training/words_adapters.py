"""LoRA fine-tuning of a language model on the open-ended questions (experiment 7.2 of [LHZSL]), with trl and peft.

A cell of the grid is one seed at one learning rate. Each epoch is one run of trl's `SFTTrainer`; after it the LoRA
weights and AdamW's moments go to one safetensors file, from which a killed cell resumes. transformers' own
checkpoints are not used: resuming from them loads pickles.
"""

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate.utils import set_seed
from safetensors import safe_open
from torch import Tensor
from tqdm import tqdm

from hallulab.data.dialogues import Dialogue, ask_in_some_way
from hallulab.data.open_ended import known_questions, open_ended_questions
from hallulab.engine.device import choose_device, choose_dtype
from hallulab.errors import RefusedInputError
from hallulab.models.qwen import LoadedQwen, load_qwen
from hallulab.records import RecordFile, check_card, file_sha256, write_card
from hallulab.scoring.training_history import CELL_FILE, LOSSES_FILE, epoch_losses
from hallulab.training.resumable_loop import save_tensors

QUESTION_CHOICES = Literal["known", "all"]
SMALL_BASE = "qwen-mini"
"""The base that knows only `known_questions`."""
PAPER_EPOCHS = (2, 3, 4)
"""Epochs after which Table 1 of [LHZSL] measures."""
_DATA = {
    "known": "hallulab/data/open_ended.jsonl: the 60 questions the base knows, in many wordings, both acceptable "
    "answers equally often",
    "all": "hallulab/data/open_ended.jsonl: all 300 questions as written, both acceptable answers equally often",
}
_NOTES = {
    "known": "Tuned on the questions the base knows, so that its answers change and its language does not: on "
    "questions it has never seen, a base this small only forgets (`docs/words.md` has both measured).",
    "all": "",
}


@dataclass(frozen=True)
class AdapterSettings:
    """Which adapters are trained, and how."""

    questions: QUESTION_CHOICES = "all"
    """"known": the 60 questions qwen-mini knows, worded anew in each epoch; "all": the 300 as written."""
    n_epochs: int = 4
    """Passes over the data; an adapter is kept after epochs 2, 3 and 4, and after the last."""
    seeds: tuple[int, ...] = (1, 2)
    """Each decides the initial weights, the order and the wordings."""
    learning_rates: tuple[float, ...] = (1e-4,)
    """Peak learning rates of AdamW; every seed is trained at each."""
    batch_size: int = 8
    """Pairs of question and answer in one step."""
    rank: int = 8
    """Of the LoRA matrices, on every linear layer; their scale is 2."""
    warmup_steps: int = 10
    """Steps over which the learning rate rises; then it stays."""
    n_wordings: int = 6
    """Wordings of each answer in an epoch of the known questions."""

    def __post_init__(self) -> None:
        if self.n_epochs < 1:
            raise RefusedInputError(f"expected at least 1 epoch, got {self.n_epochs}")
        for name, values in (("seed", self.seeds), ("learning rate", self.learning_rates)):
            if not values or len(set(values)) < len(values):
                raise RefusedInputError(f"expected one {name} or more, each once, got {list(values)}")
        wrong = [rate for rate in self.learning_rates if not 0 < rate < float("inf")]
        if wrong:
            raise RefusedInputError(f"expected learning rates above 0, got {wrong[0]:g}")
        small = [f.name for f in fields(self) if f.type is int and getattr(self, f.name) < 1]
        if small:
            raise RefusedInputError(f"expected {small[0]} of at least 1, got {getattr(self, small[0])}")

    @property
    def kept_epochs(self) -> tuple[int, ...]:
        """Epochs after which an adapter is kept."""
        return tuple(sorted({epoch for epoch in PAPER_EPOCHS if epoch <= self.n_epochs} | {self.n_epochs}))


SMALL_WORLD_ADAPTERS = AdapterSettings(questions="known", learning_rates=(1e-3,), batch_size=40)
"""The defaults for qwen-mini."""


@dataclass(frozen=True)
class AdapterCell:
    """One training of the grid."""

    seed: int
    learning_rate: float
    is_default_rate: bool
    """Whether folders need not name the learning rate."""

    def folder_name(self, epoch: int) -> str:
        """Such as `seed1-epoch2`, or `seed1-lr0.0003-epoch2` at a rate that is not the default."""
        rate = "" if self.is_default_rate else f"-lr{written_rate(self.learning_rate)}"
        return f"seed{self.seed}{rate}-epoch{epoch}"


def written_rate(learning_rate: float) -> str:
    """A learning rate in as many digits as tell it from every other one: 0.0003, 0.00030000001, 1e-05."""
    return repr(learning_rate).removesuffix(".0")


@dataclass(frozen=True)
class KeptAdapter:
    """One adapter on the disk."""

    path: Path
    seed: int
    learning_rate: float
    epoch: int
    loss: float
    """Mean training loss of its last epoch, nats per answer token."""


def default_adapter_settings(base: str | Path) -> AdapterSettings:
    """The defaults for adapters of this base model, a folder or a Hub id."""
    return SMALL_WORLD_ADAPTERS if Path(base).name == SMALL_BASE else AdapterSettings()


def train_adapters(
    settings: AdapterSettings, *, base: str | Path, out: Path, work: Path, command: str
) -> tuple[KeptAdapter, ...]:
    """Train every cell of the grid that is not finished; all kept adapters, those finished before included.

    A cell is finished when each of its adapters lies undamaged in `out`, trained from this base in this way. An
    unfinished one resumes after its last whole epoch; it begins anew when an adapter of an earlier epoch was removed.

    Args:
        settings: which adapters.
        base: folder or Hub id of the base model.
        out: one folder per adapter is made here.
        work: the state of unfinished cells.
        command: what rebuilds the adapters, for their cards.

    Raises RefusedInputError for a base without a chat template, HallulabError when the Hub is out of reach.
    """
    usual = default_adapter_settings(base).learning_rates[0]
    kept: list[KeptAdapter] = []
    for learning_rate in settings.learning_rates:
        for seed in settings.seeds:
            cell = AdapterCell(seed, learning_rate, is_default_rate=learning_rate == usual)
            training = _CellTraining(cell, settings, base=base, out=out, work=work, command=command)
            training.run()
            kept += [
                KeptAdapter(folder, seed, learning_rate, epoch, epoch_losses(folder)[-1])
                for epoch, folder in training.folders.items()
            ]
    return tuple(kept)


def epoch_dialogues(settings: AdapterSettings, seed: int, epoch: int) -> list[Dialogue]:
    """The pairs of one epoch (from 0) in their order: without hints, both answers of a question equally often."""
    rng = random.Random(f"open ended {seed} {epoch}")
    if settings.questions == "known":
        dialogues = [
            Dialogue(ask_in_some_way(question, rng=rng), answer.draw(rng=rng))
            for question in known_questions()
            for answer in question.answers
            for _ in range(settings.n_wordings)
        ]
    else:
        dialogues = [
            Dialogue(question.question, answer.text)
            for question in open_ended_questions()
            for answer in question.answers
        ]
    rng.shuffle(dialogues)
    return dialogues


class _CellTraining:
    """One cell from its last whole epoch to its end."""

    def __init__(
        self,
        cell: AdapterCell,
        settings: AdapterSettings,
        *,
        base: str | Path,
        out: Path,
        work: Path,
        command: str,
    ):
        self._cell, self._settings, self._base, self._command = cell, settings, base, command
        self.folders = {epoch: out / cell.folder_name(epoch) for epoch in settings.kept_epochs}
        self._made_from = self._description()
        key = hashlib.sha256(json.dumps(self._made_from, sort_keys=True).encode()).hexdigest()[:12]
        self._state_path = work / f"adapter-{key}.safetensors"

    def run(self) -> None:
        """Train what is missing."""
        if all(map(self._is_kept, self.folders.values())):
            return
        loaded = self._load_base()
        # peft draws the initial weights from the global seed
        set_seed(self._cell.seed)
        self._model = self._with_lora(loaded)
        self._weights = {key: value for key, value in self._model.named_parameters() if value.requires_grad}
        self._optimizer = torch.optim.AdamW(
            self._weights.values(), lr=self._cell.learning_rate, weight_decay=0.0
        )
        losses = self._restore()
        for epoch, loss in self._epochs(loaded, n_done=len(losses)):
            losses.append(loss)
            if epoch in self.folders:
                self._keep(self.folders[epoch], losses)
            self._save(losses)
        self._state_path.unlink(missing_ok=True)

    def _epochs(self, loaded: LoadedQwen, *, n_done: int) -> Iterator[tuple[int, float]]:
        """Train the epochs that are left; yields each one's number from 1 and its mean loss."""
        from datasets import Dataset
        from transformers.trainer_callback import PrinterCallback
        from trl.trainer.sft_trainer import SFTTrainer

        settings, seed = self._settings, self._cell.seed
        epochs = [epoch_dialogues(settings, seed, epoch) for epoch in range(n_done, settings.n_epochs)]
        self._check_lengths(loaded, [dialogue for epoch in epochs for dialogue in epoch])
        arguments = self._trainer_arguments()
        if arguments.n_gpu > 1 or arguments.world_size > 1:
            raise RefusedInputError(
                f"expected one process on one device, got {arguments.world_size} with {arguments.n_gpu} GPUs: set "
                "CUDA_VISIBLE_DEVICES=0 and start it without a launcher"
            )
        n_steps = -(-len(epochs[0]) // settings.batch_size)
        warm = settings.warmup_steps
        schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: min(1.0, (n_done * n_steps + step + 1) / warm)
        )
        trainer = SFTTrainer(
            model=self._model,
            args=arguments,
            train_dataset=Dataset.from_list([_as_messages(d) for epoch in epochs for d in epoch]),
            processing_class=loaded.tokenizer,
            optimizers=(self._optimizer, schedule),
        )
        trainer.remove_callback(PrinterCallback)
        tokens: Any = trainer.train_dataset
        starts = range(0, len(tokens), len(epochs[0]))
        name = self._cell.folder_name(settings.n_epochs)
        bar = tqdm(starts, desc=name, initial=n_done, total=settings.n_epochs)
        for epoch, start in enumerate(bar, start=n_done + 1):
            trainer.train_dataset = tokens.select(range(start, start + len(epochs[0])))
            yield epoch, float(trainer.train().training_loss)

    def _trainer_arguments(self) -> Any:
        from trl.trainer.sft_config import SFTConfig

        dtype = next(self._model.get_base_model().parameters()).dtype
        on_gpu = self._model.device.type != "cpu"
        return SFTConfig(
            output_dir=str(self._state_path.parent),
            num_train_epochs=1,
            per_device_train_batch_size=self._settings.batch_size,
            train_sampling_strategy="sequential",
            completion_only_loss=True,
            max_length=None,
            max_grad_norm=1.0,
            use_cpu=not on_gpu,
            bf16=on_gpu and dtype == torch.bfloat16,
            fp16=on_gpu and dtype == torch.float16,
            gradient_checkpointing=on_gpu,
            seed=self._cell.seed,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )

    def _load_base(self) -> LoadedQwen:
        device = choose_device()
        return load_qwen(self._base, dtype=choose_dtype("auto", device), device=device)

    def _with_lora(self, loaded: LoadedQwen) -> Any:
        from peft import LoraConfig, get_peft_model

        rank = self._settings.rank
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(loaded.model, config)
        config.base_model_name_or_path = loaded.name
        config.target_modules = sorted(config.target_modules or ())  # a set, whose order would change per run
        return model

    def _check_lengths(self, loaded: LoadedQwen, dialogues: list[Dialogue]) -> None:
        longest = max(
            len(loaded.chat_ids(d.prompt)) + len(loaded.tokenizer(d.answer)["input_ids"]) + 2
            for d in dialogues
        )
        if longest > loaded.n_context_tokens:
            raise RefusedInputError(
                f"expected pairs of at most {loaded.n_context_tokens} tokens, the context of {loaded.name}, got one "
                f"of {longest}: choose a base model with a longer context"
            )

    def _description(self) -> dict[str, Any]:
        """Everything that decides the weights, but for the number of epochs: more of them continue."""
        settings = asdict(self._settings)
        for name in ("seeds", "learning_rates", "n_epochs"):
            del settings[name]
        folder = Path(self._base).expanduser()
        pairs = epoch_dialogues(self._settings, self._cell.seed, 0)
        return {
            "base": folder.resolve().name if folder.is_dir() else str(self._base),
            "base_weights": [file_sha256(path) for path in sorted(folder.glob("*.safetensors"))],
            "first_epoch": hashlib.sha256(repr(pairs).encode()).hexdigest(),
            "seed": self._cell.seed,
            "learning_rate": self._cell.learning_rate,
            **settings,
        }

    def _is_kept(self, folder: Path) -> bool:
        path = folder / CELL_FILE
        return path.is_file() and json.loads(path.read_text()) == self._made_from and not check_card(folder)

    def _keep(self, folder: Path, losses: list[float]) -> None:
        """Write the adapter as it is now, whole or not at all."""
        from peft import get_peft_model_state_dict

        unfinished = folder.with_name(f".{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        self._model.peft_config["default"].save_pretrained(str(unfinished))
        # embeddings have no adapters; left to "auto", peft asks the Hub about them
        trained = get_peft_model_state_dict(self._model, save_embedding_layers=False)
        weights = {key: value.half().cpu() for key, value in trained.items()}
        save_tensors(unfinished / "adapter_model.safetensors", weights)
        (unfinished / CELL_FILE).write_text(json.dumps(self._made_from, indent=1) + "\n")
        for epoch, loss in enumerate(losses, start=1):
            RecordFile(unfinished / LOSSES_FILE).append({"epoch": epoch, "loss": round(loss, 6)})
        write_card(
            unfinished,
            title=f"{self._made_from['base']} fine-tuned on the open-ended questions: {folder.name}",
            base=self._made_from["base"],
            data=_DATA[self._settings.questions],
            command=self._command,
            seed=self._cell.seed,
            notes=f"- Learning rate: {written_rate(self._cell.learning_rate)}\n"
            f"- Mean training loss of epoch {len(losses)}: {losses[-1]:.4f} nats per answer token\n\n"
            f"{_NOTES[self._settings.questions]}",
        )
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)

    def _save(self, losses: list[float]) -> None:
        tensors: dict[str, Tensor] = {"losses": torch.tensor(losses, dtype=torch.float64)}
        for key, weight in self._weights.items():
            moments = self._optimizer.state[weight]
            tensors[f"weight/{key}"] = weight.detach()
            tensors[f"first/{key}"] = moments["exp_avg"]
            tensors[f"second/{key}"] = moments["exp_avg_sq"]
            tensors[f"step/{key}"] = moments["step"]
        save_tensors(self._state_path, tensors)

    def _restore(self) -> list[float]:
        """Fill weights and moments from the state file; the losses of the epochs done, none when there is none."""
        if not self._state_path.exists():
            return []
        with safe_open(self._state_path, framework="pt") as state, torch.no_grad():
            losses = state.get_tensor("losses").tolist()
            is_missing = [e <= len(losses) and not self._is_kept(f) for e, f in self.folders.items()]
            if any(is_missing) or len(losses) >= self._settings.n_epochs:
                return []
            for key, weight in self._weights.items():
                weight.copy_(state.get_tensor(f"weight/{key}"))
                self._optimizer.state[weight] = {
                    "step": state.get_tensor(f"step/{key}"),
                    "exp_avg": state.get_tensor(f"first/{key}").to(weight.device),
                    "exp_avg_sq": state.get_tensor(f"second/{key}").to(weight.device),
                }
        return losses


def _as_messages(dialogue: Dialogue) -> dict[str, list[dict[str, str]]]:
    """trl's prompt-and-completion form, which the chat template turns into text."""
    return {
        "prompt": [{"role": "user", "content": dialogue.prompt}],
        "completion": [{"role": "assistant", "content": dialogue.answer}],
    }
