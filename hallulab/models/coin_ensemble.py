"""Several coin networks trained side by side: one stack of weights, one gradient written by hand.

`CoinTransformer` says what is computed. Here the same numbers come from few large operations and no graph, which is
what makes five rounds quick; the tests hold the two, and their gradients, against each other.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from hallulab.models.coin_transformer import CoinTransformer, CoinTransformerSettings
from hallulab.models.products import use_products_for

NORM_EPSILON = 1e-5
"""of torch's LayerNorm"""
MAX_PAIRED_TOKENS = 12
"""up to here attention multiplies all pairs of tokens elementwise; beyond, matrix products are quicker and smaller"""
MASK_STEPS = 2**16
"""resolution of the dropout share: a mask takes 16 random bits per activation"""


class CoinEnsemble:
    """Networks of one shape, each on its own inputs, evaluated and differentiated together.

    Args:
        coins_per_draw: N.
        settings: the shape of every member.
        weights: one member per row, as `flat_weights` has them, shape (n_members, n_weights); used in place.
    """

    def __init__(self, coins_per_draw: int, settings: CoinTransformerSettings, weights: Tensor):
        self.settings = settings
        self.weights = weights
        self.gradients = torch.zeros_like(weights)
        """what the latest `backward` found, shape (n_members, n_weights)"""
        self._by_coin = settings.tokens == "coin"
        self._n_tokens = coins_per_draw if self._by_coin else 1
        with torch.device("meta"):
            named = CoinTransformer(coins_per_draw, settings).named_parameters()
            shapes = {name: tuple(weight.shape) for name, weight in named}
        parameters = _Parameters(_views(weights, shapes), _views(self.gradients, shapes))
        workspace = _Workspace(weights)
        self._embed = (
            _Embedding(*parameters.of("embed.weight")) if self._by_coin else parameters.linear("embed")
        )
        self._layers = [
            _Layer(parameters, f"layers.{index}", self._n_tokens, settings, workspace)
            for index in range(settings.n_layers)
        ]
        self._head = parameters.linear("head")
        self._masks_of: dict[int, DropoutMasks] = {}
        """by number of draws"""

    @torch.no_grad()
    def forward(
        self, labels: Tensor, *, dropout_generators: Sequence[torch.Generator] | None = None
    ) -> Tensor:
        """What each member says about its draws; keeps what `backward` needs.

        Args:
            labels: shape (n_members, n, N), whole numbers.
            dropout_generators: one per member; without them nothing is dropped.

        Returns: shape (n_members, n, n_outputs).
        """
        n = labels.shape[1]
        masks = self._masks(n, dropout_generators)
        # (n_members, n · n_tokens, width) from here to the mean over tokens
        x = self._embed.forward(labels.flatten(1) if self._by_coin else labels.to(self.weights.dtype))
        for layer in self._layers:
            x = layer.forward(x, masks)
        return self._head.forward(x.unflatten(1, (n, self._n_tokens)).mean(dim=2))

    @torch.no_grad()
    def backward(self, output_gradients: Tensor) -> None:
        """Fill `gradients` with those of the latest `forward`.

        Args:
            output_gradients: of the loss by the outputs, shape (n_members, n, n_outputs).
        """
        dx = self._head.backward(output_gradients) / self._n_tokens
        dx = dx.repeat_interleave(self._n_tokens, dim=1)
        for layer in reversed(self._layers):
            dx = layer.backward(dx)
        self._embed.backward(dx)

    def _masks(self, n: int, generators: Sequence[torch.Generator] | None) -> "DropoutMasks | None":
        settings, n_tokens = self.settings, self._n_tokens
        if generators is None or settings.dropout == 0:
            return None
        if n not in self._masks_of:
            per_token = n_tokens * settings.n_heads + 2 * settings.width + settings.feed_forward_width
            n_values = settings.n_layers * n * n_tokens * per_token
            self._masks_of[n] = DropoutMasks(len(self.weights), n_values, settings.dropout, self.weights)
        return self._masks_of[n].renew(generators)


def flat_weights(network: CoinTransformer) -> Tensor:
    """A copy of all weights in a row, shape (n_weights,)."""
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def _views(rows: Tensor, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Every parameter as a view of its columns of `rows`, shape (n_members, …)."""
    parts = rows.split([prod(shape) for shape in shapes.values()], dim=1)
    return {name: part.unflatten(1, shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


class _Linear:
    """y = x Wᵀ + b per member."""

    def __init__(self, weight: Tensor, bias: Tensor, weight_gradient: Tensor, bias_gradient: Tensor):
        self.weight, self.bias = weight, bias.unsqueeze(1)
        self.weight_gradient, self.bias_gradient = weight_gradient, bias_gradient
        self._copy = torch.empty_like(weight, memory_format=torch.contiguous_format)
        self._x = self._used = weight

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n_members, n, n_in) to (n_members, n, n_out)."""
        self._x = x
        # oneDNN would copy and transpose weights that lie apart in memory: it is quicker to hand it a plain copy
        is_onednn = use_products_for(x.shape[1] * self.weight.numel())
        self._used = self._copy.copy_(self.weight) if is_onednn else self.weight
        return torch.baddbmm(self.bias, x, self._used.transpose(1, 2))

    def backward(self, dy: Tensor) -> Tensor:
        """Gradient by x from the gradient by y."""
        use_products_for(dy.shape[1] * self.weight.numel())
        torch.bmm(dy.transpose(1, 2), self._x, out=self.weight_gradient)
        torch.sum(dy, dim=1, out=self.bias_gradient)
        return torch.bmm(dy, self._used)


class _Embedding:
    """One row of the table per coin."""

    def __init__(self, table: Tensor, gradient: Tensor):
        self.table, self.gradient = table, gradient
        self._rows = table

    def forward(self, labels: Tensor) -> Tensor:
        """Shape (n_members, n_tokens) to (n_members, n_tokens, width)."""
        self._rows = labels.unsqueeze(-1).expand(-1, -1, self.table.shape[-1])
        return self.table.gather(1, self._rows)

    def backward(self, dy: Tensor) -> None:
        """Add up what each coin's tokens got."""
        self.gradient.zero_().scatter_add_(1, self._rows, dy)


class _Norm:
    """LayerNorm per member."""

    def __init__(self, scale: Tensor, shift: Tensor, scale_gradient: Tensor, shift_gradient: Tensor):
        self.scale, self.shift = scale.unsqueeze(1), shift.unsqueeze(1)
        self.scale_gradient, self.shift_gradient = scale_gradient, shift_gradient
        self._x = self._normal = self._mean = self._rstd = scale

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        self._x = x
        self._normal, self._mean, self._rstd = torch.native_layer_norm(
            x, x.shape[-1:], None, None, NORM_EPSILON
        )
        return torch.addcmul(self.shift, self._normal, self.scale)

    def backward(self, dy: Tensor) -> Tensor:
        """Gradient by x from the gradient by y."""
        torch.sum(dy, dim=1, out=self.shift_gradient)
        torch.sum(dy * self._normal, dim=1, out=self.scale_gradient)
        return torch.ops.aten.native_layer_norm_backward(
            dy * self.scale, self._x, self._x.shape[-1:], self._mean, self._rstd, None, None,
            [True, False, False],
        )[0]  # fmt: skip


class _Layer:
    """Self-attention and feed-forward, each normalised after its residual: the layer of `CoinTransformer`."""

    def __init__(
        self,
        parameters: "_Parameters",
        name: str,
        n_tokens: int,
        settings: CoinTransformerSettings,
        workspace: "_Workspace",
    ):
        # a token alone attends to itself whatever its query and key are: only the values matter
        alone = n_tokens == 1
        self.query_key_value = parameters.linear(f"{name}.query_key_value", since=2 * settings.width * alone)
        self.attention = (
            _Alone(settings) if alone
            else _FewTokens(n_tokens, settings, workspace) if n_tokens <= MAX_PAIRED_TOKENS
            else _ManyTokens(n_tokens, settings)
        )  # fmt: skip
        self.attention_out = parameters.linear(f"{name}.attention_out")
        self.attention_norm = parameters.norm(f"{name}.attention_norm")
        self.widen = parameters.linear(f"{name}.widen")
        self.narrow = parameters.linear(f"{name}.narrow")
        self.feed_forward_norm = parameters.norm(f"{name}.feed_forward_norm")
        self._scale = 1 / (1 - settings.dropout)
        self._hidden = workspace.like
        self._attended_mask: Tensor | None = None
        self._narrowed_mask: Tensor | None = None

    def forward(self, x: Tensor, masks: "DropoutMasks | None") -> Tensor:
        """Shape (n_members, n · n_tokens, width) in and out."""
        mixed = self.attention.forward(self.query_key_value.forward(x), masks)
        attended, self._attended_mask = _added(x, self.attention_out.forward(mixed), masks)
        x = self.attention_norm.forward(attended)
        self._hidden = self.widen.forward(x).relu_()
        if masks:
            self._hidden.mul_(masks.take(self._hidden.shape))
        narrowed, self._narrowed_mask = _added(x, self.narrow.forward(self._hidden), masks)
        return self.feed_forward_norm.forward(narrowed)

    def backward(self, dy: Tensor) -> Tensor:
        """Gradient by x from the gradient by y."""
        d_sum = self.feed_forward_norm.backward(dy)
        d_hidden = self.narrow.backward(_masked(d_sum, self._narrowed_mask))
        # what is above 0 was neither cut off nor dropped
        d_hidden = torch.ops.aten.threshold_backward(d_hidden, self._hidden, 0)
        if self._narrowed_mask is not None:
            d_hidden.mul_(self._scale)
        d_sum = self.attention_norm.backward(self.widen.backward(d_hidden).add_(d_sum))
        d_mixed = self.attention_out.backward(_masked(d_sum, self._attended_mask))
        return self.query_key_value.backward(self.attention.backward(d_mixed)).add_(d_sum)


class _FewTokens:
    """Self-attention of draws of few coins.

    Heads are eight columns wide, so matrix products per draw and head would be too small to be quick. All pairs of
    tokens are multiplied elementwise instead, and one product with `head_of_column` adds up what belongs to a head.
    """

    def __init__(self, n_tokens: int, settings: CoinTransformerSettings, workspace: "_Workspace"):
        self.n_tokens = n_tokens
        self.width = settings.width
        head_width = settings.width // settings.n_heads
        self.root = head_width**-0.5
        # (width, n_heads), one where the column belongs to the head
        self.head_of_column = torch.eye(
            settings.n_heads, dtype=workspace.like.dtype, device=workspace.like.device
        ).repeat_interleave(head_width, dim=0)
        self._to_scores = self.head_of_column * self.root
        self._to_columns = self.head_of_column.T.contiguous()
        self._to_every_pair = self.head_of_column.repeat(1, n_tokens)
        self._workspace = workspace
        self._saved: tuple[Tensor, ...] = ()
        self._mask: Tensor | None = None

    def forward(self, query_key_value: Tensor, masks: "DropoutMasks | None") -> Tensor:
        """Shape (n_members, n · n_tokens, 3 · width) to (n_members, n · n_tokens, width)."""
        query, key, value = self._split(query_key_value)
        pairs = self._pairs(query, "pairs")
        torch.mul(query.unsqueeze(2), key.unsqueeze(1), out=pairs)
        # no largest score is taken off: a network whose scores reach 88, where exp ends, is broken and says NaN
        weights = (pairs.flatten(0, 2) @ self._to_scores).exp_()  # (pairs, n_heads)
        self._mask = _mask_of(weights, len(query_key_value), masks)
        totals = self._widened(weights, pairs).sum(dim=2)
        kept = _masked(weights, self._mask)
        if self._mask is not None:
            self._widened(kept, pairs)
        mixed = pairs.mul_(value.unsqueeze(1)).sum(dim=2).div_(totals)
        self._saved = query_key_value, weights, kept, totals, mixed
        return mixed.view(*query_key_value.shape[:2], self.width)

    def backward(self, d_mixed: Tensor) -> Tensor:
        """Gradient by query, key and value from the gradient by what was mixed."""
        query_key_value, weights, kept, totals, mixed = self._saved
        query, key, value = self._split(query_key_value)
        pairs, others = self._pairs(query, "pairs"), self._pairs(query, "others")
        gradients = torch.empty_like(query_key_value)
        d_query, d_key, d_value = self._split(gradients)
        d_mixed = d_mixed.reshape(mixed.shape) / totals
        torch.mul(d_mixed.unsqueeze(2), value.unsqueeze(1), out=pairs)
        d_weights = _masked(pairs.flatten(0, 2) @ self.head_of_column, self._mask)
        # what softmax takes off every pair of a token, once per pair
        d_totals = (d_mixed * mixed).flatten(0, 1) @ self._to_every_pair
        d_scores = d_weights.sub_(d_totals.view(weights.shape)).mul_(weights).mul_(self.root)
        self._widened(kept, pairs).mul_(d_mixed.unsqueeze(2))
        torch.sum(pairs, dim=1, out=d_value)
        self._widened(d_scores, pairs)
        torch.mul(pairs, key.unsqueeze(1), out=others)
        torch.sum(others, dim=2, out=d_query)
        torch.sum(pairs.mul_(query.unsqueeze(2)), dim=1, out=d_key)
        return gradients

    def _split(self, query_key_value: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value, each (n_members · n, n_tokens, width)."""
        return query_key_value.view(-1, self.n_tokens, 3, self.width).unbind(dim=2)

    def _pairs(self, query: Tensor, name: str) -> Tensor:
        """Room for every pair of tokens, (n_members · n, n_tokens, n_tokens, width)."""
        return self._workspace.room(name, (len(query), self.n_tokens, self.n_tokens, self.width))

    def _widened(self, by_head: Tensor, pairs: Tensor) -> Tensor:
        """Values per pair and head, written to every column of the head in `pairs`."""
        torch.mm(by_head, self._to_columns, out=pairs.flatten(0, 2))
        return pairs


class _ManyTokens:
    """Self-attention by one matrix product per draw and head."""

    def __init__(self, n_tokens: int, settings: CoinTransformerSettings):
        self.n_tokens = n_tokens
        self.n_heads = settings.n_heads
        self.root = (settings.width // settings.n_heads) ** -0.5
        self._saved: tuple[Tensor, ...] = ()
        self._mask: Tensor | None = None

    def forward(self, query_key_value: Tensor, masks: "DropoutMasks | None") -> Tensor:
        """Shape (n_members, n · n_tokens, 3 · width) to (n_members, n · n_tokens, width)."""
        # each (n_members · n, n_heads, n_tokens, columns of a head)
        query, key, value = self._split(query_key_value).unbind(2)
        weights = (query @ key.transpose(-2, -1) * self.root).softmax(dim=-1)
        self._mask = _mask_of(weights, len(query_key_value), masks)
        kept = _masked(weights, self._mask)
        self._saved = query, key, value, weights, kept
        return (kept @ value).transpose(1, 2).reshape(*query_key_value.shape[:2], -1)

    def backward(self, d_mixed: Tensor) -> Tensor:
        """Gradient by query, key and value from the gradient by what was mixed."""
        query, key, value, weights, kept = self._saved
        n_members, n_rows, width = d_mixed.shape
        d_mixed = d_mixed.reshape(-1, self.n_tokens, self.n_heads, value.shape[-1]).transpose(1, 2)
        d_weights = _masked(d_mixed @ value.transpose(-2, -1), self._mask)
        d_scores = weights * (d_weights - (d_weights * weights).sum(dim=-1, keepdim=True)) * self.root
        found = d_mixed.new_empty(n_members, n_rows, 3 * width)
        d_query, d_key, d_value = self._split(found).unbind(2)
        d_query.copy_(d_scores @ key)
        d_key.copy_(d_scores.transpose(-2, -1) @ query)
        d_value.copy_(kept.transpose(-2, -1) @ d_mixed)
        return found

    def _split(self, query_key_value: Tensor) -> Tensor:
        """Shape (n_members · n, n_heads, 3, n_tokens, columns of a head), a view."""
        return query_key_value.view(
            -1, self.n_tokens, 3, self.n_heads, query_key_value.shape[-1] // 3 // self.n_heads
        ).permute(0, 3, 2, 1, 4)


class _Alone:
    """Attention of a single token: its value, or nothing where its weight is dropped."""

    def __init__(self, settings: CoinTransformerSettings):
        self.n_heads = settings.n_heads
        self._mask: Tensor | None = None

    def forward(self, value: Tensor, masks: "DropoutMasks | None") -> Tensor:
        """Shape (n_members, n, width) in and out."""
        self._mask = masks.take((*value.shape[:2], self.n_heads, 1)) if masks else None
        return self._kept(value)

    def backward(self, d_mixed: Tensor) -> Tensor:
        """Gradient by the value from the gradient by what was kept of it."""
        return self._kept(d_mixed)

    def _kept(self, x: Tensor) -> Tensor:
        return x if self._mask is None else (x.unflatten(2, (self.n_heads, -1)) * self._mask).flatten(2)


class DropoutMasks:
    """The masks of one step, cut from one row of random bits per member, in memory that every step uses again.

    A member's bits come from its own generator, so a round drops the same activations whichever rounds it is trained
    beside.
    """

    def __init__(self, n_members: int, n_values: int, share: float, like: Tensor):
        n_words = -(-n_values // 4)
        self._words = torch.empty(n_members, n_words, dtype=torch.int64, device=like.device)
        self._smallest_kept = round(share * MASK_STEPS) - MASK_STEPS // 2
        self._scale = 1 / (1 - share)
        self._values = like.new_empty(n_members, 4 * n_words)
        self._cuts: list[Tensor] = []
        self._uncut = self._values
        self._n_taken = 0

    def renew(self, generators: Sequence[torch.Generator]) -> "DropoutMasks":
        """Draw the masks of another step; those taken before change with them."""
        for row, generator in zip(self._words, generators, strict=True):
            row.random_(-(2**63), None, generator=generator)
        torch.ge(self._words.view(torch.int16), self._smallest_kept, out=self._values).mul_(self._scale)
        self._n_taken = 0
        return self

    def take(self, shape: Sequence[int]) -> Tensor:
        """The next mask, of shape (n_members, …)."""
        if self._n_taken == len(self._cuts):
            self._cuts.append(self._uncut[:, : prod(shape[1:])].unflatten(1, shape[1:]))
            self._uncut = self._uncut[:, prod(shape[1:]) :]
        self._n_taken += 1
        return self._cuts[self._n_taken - 1]


def _added(x: Tensor, update: Tensor, masks: DropoutMasks | None) -> tuple[Tensor, Tensor | None]:
    """x plus what dropout leaves of its update (which is overwritten without dropout), and the mask."""
    if masks is None:
        return update.add_(x), None
    mask = masks.take(update.shape)
    return torch.addcmul(x, update, mask), mask


def _mask_of(weights: Tensor, n_members: int, masks: DropoutMasks | None) -> Tensor | None:
    """A mask for attention weights whose first dimension runs over the draws of all members."""
    if masks is None:
        return None
    return masks.take((n_members, len(weights) // n_members, *weights.shape[1:]))


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else (x.view(mask.shape) * mask).view(x.shape)


class _Workspace:
    """Large intermediate results, in memory that is used again by every layer and step."""

    def __init__(self, like: Tensor):
        self.like = like
        self._rooms: dict[str, Tensor] = {}
        self._views: dict[tuple[object, ...], Tensor] = {}

    def room(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """An uninitialised tensor of this shape; it holds until the next call with this name."""
        key = (name, *shape)
        if key not in self._views:
            n = prod(shape)
            if name not in self._rooms or len(self._rooms[name]) < n:
                self._rooms[name] = self.like.new_empty(n)
                self._views.clear()
            self._views[key] = self._rooms[name][:n].view(*shape)
        return self._views[key]


class _Parameters:
    """Weights and their gradients by the names of `CoinTransformer`."""

    def __init__(self, weights: dict[str, Tensor], gradients: dict[str, Tensor]):
        self.weights, self.gradients = weights, gradients

    def of(self, name: str) -> tuple[Tensor, Tensor]:
        """A parameter and its gradient."""
        return self.weights[name], self.gradients[name]

    def linear(self, name: str, *, since: int = 0) -> _Linear:
        """The linear map of this name, without its first `since` outputs."""
        (weight, d_weight), (bias, d_bias) = self.of(f"{name}.weight"), self.of(f"{name}.bias")
        return _Linear(weight[:, since:], bias[:, since:], d_weight[:, since:], d_bias[:, since:])

    def norm(self, name: str) -> _Norm:
        """The LayerNorm of this name."""
        (scale, d_scale), (shift, d_shift) = self.of(f"{name}.weight"), self.of(f"{name}.bias")
        return _Norm(scale, shift, d_scale, d_shift)
