"""Several adapters on one language model in memory: a checkpoint is a view that switches its adapter on."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from hallulab.engine.presets import is_local
from hallulab.errors import HallulabError, RefusedInputError
from hallulab.models.products import products_for
from hallulab.models.qwen import check_adapter_base, check_weight_files
from hallulab.records import folder_sha256


class AdapterSwitch:
    """A base model and the adapters laid over it by peft, at most one of them active.

    The switch is state of the one model in memory, so views may only compute one after the other: inside one
    job of the device queue.
    """

    def __init__(self, model: Any):
        self.model = model
        self._peft: Any = None  # a PeftModel once there is an adapter
        self._active: str | None = None

    def load(self, name: str, place: str) -> str:
        """Lay an adapter over the base, from a folder or the Hub.

        Returns: the content hash of the folder; empty for a Hub id.
        Raises RefusedInputError for a folder without a fitting adapter, HallulabError for a Hub id.
        """
        if is_local(place):
            _check_adapter_folder(Path(place), self.model.name_or_path)
        try:
            self._lay_over(name, place)
        except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
            self.unload(name)
            refusal = RefusedInputError if is_local(place) else HallulabError
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise refusal(f"cannot lay the adapter {place} over the base model: {reason}") from error
        self._deactivate()
        return folder_sha256(place) if is_local(place) else ""

    def unload(self, name: str) -> None:
        """Take an adapter off the base again."""
        if self._peft is not None and name in self._peft.peft_config:
            self._peft.delete_adapter(name)
            self._deactivate()

    def activate(self, name: str | None) -> None:
        """Compute with this adapter from now on; None computes with the base alone."""
        if name == self._active or self._peft is None:
            return
        if name is None:
            self._deactivate()
        else:
            self._peft.base_model.enable_adapter_layers()
            self._peft.set_adapter(name, inference_mode=True)
            self._active = name

    def _deactivate(self) -> None:
        if self._peft is not None:
            self._peft.base_model.disable_adapter_layers()
        self._active = None

    def _lay_over(self, name: str, place: str) -> None:
        from peft import PeftConfig, PeftModel

        config = PeftConfig.from_pretrained(place)
        config.inference_mode = True
        # adapters compute in the precision of the base
        if self._peft is None:
            self._peft = PeftModel(self.model, config, adapter_name=name, autocast_adapter_dtype=False)
        report = self._peft.load_adapter(
            place, adapter_name=name, peft_config=config, autocast_adapter_dtype=False
        )
        own_missing = [key for key in report.missing_keys if f".{name}." in key]
        if own_missing or report.unexpected_keys:
            raise ValueError(f"its weights do not fit: {(*own_missing, *report.unexpected_keys)[0]}")
        self.model.eval()

    def view(self, name: str | None) -> "AdapterView":
        """The model as one checkpoint sees it."""
        return AdapterView(self, name)


class AdapterView:
    """The base model with one adapter (or none), switched on whenever it is called."""

    def __init__(self, switch: AdapterSwitch, adapter: str | None):
        self._switch = switch
        self._adapter = adapter

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._switch.activate(self._adapter)
        ids = kwargs.get("input_ids")
        width = self._switch.model.config.hidden_size
        with products_for(0 if ids is None else ids.numel() * width**2):
            return self._switch.model(*args, **kwargs)

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """The base model's own `generate`, with this view's adapter."""
        self._switch.activate(self._adapter)
        return self._switch.model.generate(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._switch.model, name)


def _check_adapter_folder(folder: Path, base: str) -> None:
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / file).is_file():
            raise RefusedInputError(
                f"expected {file} in the adapter folder {folder}, found none: check the preset's adapters"
            )
    check_weight_files(folder)
    try:
        check_adapter_base(folder, base)
    except (json.JSONDecodeError, AttributeError) as error:
        raise RefusedInputError(
            f"{folder / 'adapter_config.json'} does not describe an adapter: fetch or rebuild it"
        ) from error
