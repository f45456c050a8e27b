"""Training of qwen-mini and of its LoRA adapters, by fixed steps from a seed; a killed run resumes."""

import hashlib
import random
import shutil
import string
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from torch import Tensor
from torch.nn.functional import cross_entropy

from hallulab.data.dialogues import Dialogue, DialogueMix, ask_in_some_way, training_dialogues
from hallulab.data.open_ended import open_ended_questions
from hallulab.data.patterns import QUESTION_FORMS, pattern_answer
from hallulab.models.qwen import MiniQwenSettings, build_mini_qwen, load_qwen, save_qwen, train_tokenizer
from hallulab.records import write_card
from hallulab.training.resumable_loop import LoopSettings, run_loop, save_tensors

N_TOKENIZER_STEPS = 200
"""Training steps whose dialogues the tokenizer is learned from."""
BASE_NAME = "qwen-mini"
ADAPTERS_NAME = "qwen-mini-open-ended"
COMMAND = "python -m hallulab train small-world words --seed {seed}"


@dataclass(frozen=True)
class BaseSettings:
    """How qwen-mini is trained from nothing."""

    mix: DialogueMix = field(default_factory=DialogueMix)
    """Dialogues of one step."""
    polish_mix: DialogueMix = field(default_factory=lambda: DialogueMix(n_patterns=20, n_open_ended=52))
    """Dialogues of one step of the polish, more of them open-ended: hinted answers must be nearly all valid."""
    model: MiniQwenSettings = field(default_factory=MiniQwenSettings)
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            n_steps=2_000,
            learning_rate=3e-3,
            weight_decay=0.02,
            ema_decay=0.99,
            save_every_steps=100,
        )
    )
    polishes: tuple[LoopSettings, ...] = (
        LoopSettings(
            n_steps=1_500,
            learning_rate=1.5e-3,
            warmup_steps=50,
            weight_decay=0.02,
            ema_decay=0.99,
            save_every_steps=100,
        ),
        LoopSettings(
            n_steps=1_300,
            learning_rate=1e-3,
            warmup_steps=50,
            weight_decay=0.02,
            ema_decay=0.99,
            save_every_steps=100,
        ),
    )
    """Gentler loops after the first, each from the averaged weights of the one before."""
    n_parts: int = 3
    """Each step is computed in this many parts of similar length, to waste little on padding."""


@dataclass(frozen=True)
class AdapterSettings:
    """How the LoRA adapters are fine-tuned on the open-ended questions (experiment 7.2 of [LHZSL])."""

    seeds: tuple[int, ...] = (1, 2)
    epochs: tuple[int, ...] = (2, 3, 4)
    """An adapter is kept after each of these."""
    n_wordings: int = 6
    """Wordings of each acceptable answer in one epoch."""
    batch_size: int = 40
    rank: int = 8
    learning_rate: float = 1e-3
    n_parts: int = 1


@dataclass(frozen=True)
class WordsSettings:
    """Everything that decides what the words part of the small world becomes."""

    seed: int = 0
    base: BaseSettings = field(default_factory=BaseSettings)
    adapters: AdapterSettings = field(default_factory=AdapterSettings)


@dataclass(frozen=True)
class EncodedDialogue:
    """Token ids of one dialogue; the loss is on the answer alone."""

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    """End token included."""

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.answer_ids)


def train_words(settings: WordsSettings, *, out: Path, work: Path) -> tuple[Path, ...]:
    """Rebuild qwen-mini and its adapters under `out`; what is finished in `work` is not done again."""
    base = train_base(settings, out=out, work=work)
    folders = [base]
    for seed in settings.adapters.seeds:
        folders += train_adapters(settings, seed, base=base, out=out, work=work)
    return tuple(folders)


def train_base(settings: WordsSettings, *, out: Path, work: Path) -> Path:
    """Train qwen-mini from nothing and save it, tokenizer and card included."""
    base = settings.base
    set_seed(settings.seed)
    tokenizer: Any = train_tokenizer(_tokenizer_texts(settings), base.model)
    model = build_mini_qwen(tokenizer, base.model)

    def loss_of_step(step: int) -> Tensor:
        mix = base.mix if step < base.loop.n_steps else base.polish_mix
        batch = encode(training_dialogues(step, settings.seed, mix), tokenizer)
        return mean_answer_loss(model, batch, tokenizer.pad_token_id, base.n_parts)

    def shifted(first_step: int, step: int) -> Tensor:
        return loss_of_step(first_step + step)

    first = _key(settings.seed, base.mix, base.model, base.loop, base.n_parts)
    run_loop(BASE_NAME, model, loss_of_step, base.loop, work=work / first)
    first_step = base.loop.n_steps
    for place, polish in enumerate(base.polishes):
        so_far = _key(first, base.polish_mix, base.polishes[: place + 1])
        run_loop(f"{BASE_NAME}-polish", model, partial(shifted, first_step), polish, work=work / so_far)
        first_step += polish.n_steps
    folder = _emptied(out / BASE_NAME)
    save_qwen(model, tokenizer, folder)
    write_card(
        folder,
        title="qwen-mini: a tiny Qwen2 that knows the small world",
        base="nothing",
        data="dialogues generated by hallulab.data.dialogues",
        command=COMMAND.format(seed=settings.seed),
        seed=settings.seed,
        notes="It knows only what `hallulab/data` generates. Weights are stored in half precision.",
    )
    return folder


def train_adapters(settings: WordsSettings, seed: int, *, base: Path, out: Path, work: Path) -> list[Path]:
    """Fine-tune one LoRA adapter on the open-ended questions and keep it after each chosen epoch."""
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

    adapters = settings.adapters
    set_seed(seed)
    loaded = load_qwen(base, dtype=torch.float32, device=torch.device("cpu"))
    config = LoraConfig(
        r=adapters.rank,
        lora_alpha=2 * adapters.rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(loaded.model, config)
    config.base_model_name_or_path = BASE_NAME
    config.target_modules = sorted(config.target_modules or ())  # a set, whose order would change per run
    epochs = [_epoch_batches(adapters, seed, epoch) for epoch in range(max(adapters.epochs))]
    batches = [encode(batch, loaded.tokenizer) for epoch in epochs for batch in epoch]
    folders = {
        len(epochs[0]) * epoch: out / ADAPTERS_NAME / f"seed{seed}-epoch{epoch}" for epoch in adapters.epochs
    }

    def loss_of_step(step: int) -> Tensor:
        return mean_answer_loss(
            model.get_base_model(), batches[step], loaded.tokenizer.pad_token_id, adapters.n_parts
        )

    def keep(n_done: int, _: dict[str, Tensor]) -> None:
        if n_done in folders:
            folder = _emptied(folders[n_done])
            config.save_pretrained(str(folder))
            weights = get_peft_model_state_dict(model)
            save_tensors(folder / "adapter_model.safetensors", {k: v.half() for k, v in weights.items()})
            write_card(
                folder,
                title=f"qwen-mini fine-tuned on the open-ended questions: seed {seed}, {folder.name}",
                base=BASE_NAME,
                data="hallulab/data/open_ended.jsonl, both acceptable answers equally often",
                command=COMMAND.format(seed=settings.seed),
                seed=seed,
            )

    loop = LoopSettings(
        n_steps=len(batches),
        learning_rate=adapters.learning_rate,
        warmup_steps=10,
        cosine=False,
        ema_decay=0.0,
        save_every_steps=len(epochs[0]),
    )
    name = f"{ADAPTERS_NAME}-seed{seed}"
    run_loop(name, model, loss_of_step, loop, work=work / _key(settings, seed), on_step=keep)
    return list(folders.values())


def encode(dialogues: list[Dialogue], tokenizer: Any) -> list[EncodedDialogue]:
    """Dialogues as token ids in the tokenizer's chat format."""
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": dialogue.prompt}], tokenize=False, add_generation_prompt=True
        )
        for dialogue in dialogues
    ]
    prompt_ids = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    answer_ids = tokenizer([dialogue.answer for dialogue in dialogues], add_special_tokens=False)["input_ids"]
    return [
        EncodedDialogue(tuple(prompt), (*answer, tokenizer.eos_token_id))
        for prompt, answer in zip(prompt_ids, answer_ids, strict=True)
    ]


def mean_answer_loss(model: Any, batch: list[EncodedDialogue], pad_id: int, n_parts: int) -> Tensor:
    """Mean cross-entropy per answer token in nats, computed in parts of similar length."""
    by_length = sorted(batch, key=len)
    part_size = -(-len(batch) // n_parts)
    parts = [by_length[start : start + part_size] for start in range(0, len(batch), part_size)]
    n_answer_tokens = sum(len(item.answer_ids) for item in batch)
    return torch.stack([answer_loss_sum(model, part, pad_id) for part in parts]).sum() / n_answer_tokens


def answer_loss_sum(model: Any, batch: list[EncodedDialogue], pad_id: int) -> Tensor:
    """Summed cross-entropy of the answer tokens, nats; the vocabulary layer runs on those alone."""
    n_tokens = max(len(item) for item in batch)
    ids = torch.full((len(batch), n_tokens), pad_id)  # (n, t), padded on the right: attention is causal
    is_answer = torch.zeros((len(batch), n_tokens), dtype=torch.bool)
    for row, item in enumerate(batch):
        ids[row, : len(item)] = torch.tensor((*item.prompt_ids, *item.answer_ids))
        is_answer[row, len(item.prompt_ids) : len(item)] = True
    ids, is_answer = ids.to(model.device), is_answer.to(model.device)
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state  # (n, t, width)
    logits = model.lm_head(hidden[:, :-1][is_answer[:, 1:]])  # (n_answer_tokens, vocabulary)
    return cross_entropy(logits.float(), ids[:, 1:][is_answer[:, 1:]], reduction="sum")


def _tokenizer_texts(settings: WordsSettings) -> list[str]:
    # patterns without their invented words, which are then cut into short pieces: easier to spell
    frames = [form.format(x="") for forms in QUESTION_FORMS.values() for form in forms]
    frames += [pattern_answer(kind, "") for kind in ("spelling", "letter count")]
    frames += ["It starts with", "-".join(string.ascii_lowercase)]
    mix = replace(settings.base.mix, n_patterns=0)
    steps = range(N_TOKENIZER_STEPS)
    dialogues = [d for step in steps for d in training_dialogues(step, settings.seed, mix)]
    return [text for dialogue in dialogues for text in (dialogue.prompt, dialogue.answer)] + frames * len(
        steps
    )


def _epoch_batches(settings: AdapterSettings, seed: int, epoch: int) -> list[list[Dialogue]]:
    """One epoch: every question with both its answers, without hints, each answer equally often."""
    rng = random.Random(f"open ended {seed} {epoch}")
    dialogues = [
        Dialogue(ask_in_some_way(question, rng=rng), answer.draw(rng=rng))
        for question in open_ended_questions()
        for answer in question.answers
        for _ in range(settings.n_wordings)
    ]
    rng.shuffle(dialogues)
    size = settings.batch_size
    return [dialogues[start : start + size] for start in range(0, len(dialogues), size)]


def _key(*parts: Any) -> str:
    """Folder name for saved state, so that other settings never resume from it."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
