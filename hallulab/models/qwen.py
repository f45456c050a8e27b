"""Qwen2 language models: building the tiny one from nothing, loading any one from a folder or the Hub."""

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from tokenizers import models, pre_tokenizers, trainers

from hallulab.errors import HallulabError, RefusedInputError
from hallulab.records import folder_sha256

if TYPE_CHECKING:
    from transformers import Qwen2ForCausalLM, Qwen2Tokenizer

PAD, END, USER, ASSISTANT, SYSTEM = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"
SPECIAL_TOKENS = (PAD, END, USER, ASSISTANT, SYSTEM)
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message.role + '|>' + message.content + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@dataclass(frozen=True)
class MiniQwenSettings:
    """Size of the tiny Qwen2."""

    vocab_size: int = 2048
    hidden_size: int = 192
    intermediate_size: int = 512
    n_layers: int = 4
    n_heads: int = 6
    n_key_value_heads: int = 2
    max_tokens: int = 256
    """Longest prompt and answer together, in tokens."""


def train_tokenizer(texts: Iterable[str], settings: MiniQwenSettings) -> "Qwen2Tokenizer":
    """Qwen2's own tokenizer class with merges learned from `texts`, role markers and a chat template."""
    from transformers import Qwen2Tokenizer

    learner = (
        Qwen2Tokenizer().backend_tokenizer
    )  # keeps Qwen2's way of splitting text, which a reload will use
    learner.model = models.BPE()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    learned = json.loads(learner.to_str())["model"]
    return Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(merge) for merge in learned["merges"]],  # pyright: ignore[reportArgumentType]
        unk_token=PAD,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT, SYSTEM],
        chat_template=CHAT_TEMPLATE,
        model_max_length=settings.max_tokens,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def build_mini_qwen(tokenizer: Any, settings: MiniQwenSettings) -> "Qwen2ForCausalLM":
    """A tiny Qwen2 with random weights (from torch's global seed) for this tokenizer."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.n_layers,
        num_attention_heads=settings.n_heads,
        num_key_value_heads=settings.n_key_value_heads,
        max_position_embeddings=settings.max_tokens,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.02,
    )
    return Qwen2ForCausalLM(config)


@dataclass(frozen=True)
class LoadedQwen:
    """A language model ready to use, with its tokenizer."""

    model: Any
    """Anything that computes like a `transformers` causal language model."""
    tokenizer: Any
    name: str
    """Folder name or Hub id of the model; an adapter adds its own name."""
    sha256: str
    """Content hash of the files it came from; empty for a Hub id."""

    @property
    def n_context_tokens(self) -> int:
        """Longest prompt and answer together, in tokens."""
        return self.model.config.max_position_embeddings

    @property
    def end_token_ids(self) -> tuple[int, ...]:
        """Tokens that end an answer; the first is the one that is scored."""
        configured = getattr(self.model.generation_config, "eos_token_id", None) or []
        others = [configured] if isinstance(configured, int) else list(configured)
        return tuple(dict.fromkeys([self.tokenizer.eos_token_id, *others]))

    def chat_prompt(self, content: str) -> str:
        """What one user turn looks like to the model, up to where its answer begins."""
        turn = [{"role": "user", "content": content}]
        return self.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)

    def chat_ids(self, content: str) -> list[int]:
        """Token ids of `chat_prompt`."""
        return self.tokenizer(self.chat_prompt(content), add_special_tokens=False)["input_ids"]


def save_qwen(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save a model (half precision, safetensors) and its tokenizer in the Hub's format."""
    copy.deepcopy(model).half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def load_qwen(base: str | Path, *, dtype: Any, device: Any) -> LoadedQwen:
    """Load any causal language model with a chat template, from a local folder or by its Hub id.

    Args:
        base: folder, or Hub id such as `Qwen/Qwen2.5-7B-Instruct`.
        dtype: torch number format of the weights.
        device: torch device they go to.

    Raises RefusedInputError for a missing, damaged or unsuitable folder, HallulabError when the Hub is out
    of reach.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from hallulab.models.products import use_default_products_in_attention

    folder = Path(base).expanduser()
    is_folder = folder.is_dir()
    if is_folder:
        check_weight_files(folder)
    elif folder.is_absolute() or str(base).startswith((".", "~")):
        raise RefusedInputError(
            f"expected a language model in {base}, found no such folder: check the preset, or rebuild it "
            "with `python -m hallulab train small-world words`"
        )
    place = str(folder if is_folder else base)
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, padding_side="left", local_files_only=is_folder)
        model = AutoModelForCausalLM.from_pretrained(place, dtype=dtype, local_files_only=is_folder)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if is_folder:
            raise RefusedInputError(f"cannot read the language model in {place}: {reason}") from error
        raise HallulabError(
            f"cannot get the language model {place} from the Hub: {reason} Connect to the network, or put a "
            "local folder in the preset"
        ) from error
    if tokenizer.chat_template is None or tokenizer.eos_token_id is None:
        raise RefusedInputError(
            f"expected a chat model, but the tokenizer of {place} has no chat template or no end token: "
            "use an instruction-tuned model"
        )
    use_default_products_in_attention(model)
    name = folder.resolve().name if is_folder else str(base)
    return LoadedQwen(model.to(device).eval(), tokenizer, name, folder_sha256(folder) if is_folder else "")


def check_weight_files(folder: Path) -> None:
    """RefusedInputError naming the first safetensors file below `folder` that is missing or damaged."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise RefusedInputError(
            f"expected .safetensors weights in {folder}, found none: other formats are never loaded"
        )
    for path in files:
        try:
            with safe_open(path, framework="pt") as tensors:
                tensors.keys()
        except (SafetensorError, OSError) as error:
            raise RefusedInputError(
                f"the weights {path} are damaged or cut short ({error}): fetch or rebuild the file"
            ) from error


def check_adapter_base(adapter: Path, base: str | Path) -> None:
    """RefusedInputError when the LoRA adapter in this folder says it was made for another base model."""
    made_for = (
        json.loads((adapter / "adapter_config.json").read_text("utf-8")).get("base_model_name_or_path") or ""
    )
    own_name = Path(base).expanduser().resolve().name if Path(base).expanduser().is_dir() else str(base)
    if PurePosixPath(made_for).name.lower() != PurePosixPath(own_name).name.lower():
        raise RefusedInputError(
            f"the adapter {adapter.name} was made for {made_for or 'an unnamed model'}, not for {own_name}: "
            "choose an adapter of this model"
        )
