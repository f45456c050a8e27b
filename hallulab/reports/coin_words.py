"""What people read for the names in coin records."""

from hallulab.experiments.coin_objectives import OBJECTIVES
from hallulab.experiments.coin_settings import CoinSettings

ESTIMATOR_TITLES = {
    "bayes_mean": "average",
    "bayes_mean_rounded": "rounded average",
    "bayes_mean_rounded_either": "rounded average, halves either way",
    "bayes_mean_ties_likelier": "rounded average, halves to the likelier count",
    "bayes_mean_ceil": "average, rounded up",
    "bayes_mean_ceil_either": "average a hair off, rounded up",
    "mode": "most likely count",
    "median": "median",
    "median_ceil_either": "median a hair off, rounded up",
    "modal_unrounded": "modal regression",
    "modal": "modal regression, rounded",
    "modal_ceil_either": "modal regression a hair off, rounded up",
    "pmf_sample": "a sample of the exact law",
    "network_unrounded": "a trained network, before rounding",
    "network_rounded": "the same network, rounded",
}
SHORT_ESTIMATOR_TITLES = {
    "bayes_mean_rounded_either": "rounded average",
    "bayes_mean_ceil_either": "average, rounded up",
    "median_ceil_either": "median, rounded up",
    "modal": "modal regression",
    "modal_ceil_either": "modal regression, rounded up",
}
"""where there is little room"""
ANSWER_TITLES = {"mode": "its most likely count", "mean": "its rounded mean", "sample": "a sample"}
SHORT_OBJECTIVE_TITLES = {
    "squared_error": "squared error", "absolute_error": "absolute error", "cross_entropy": "cross-entropy",
    "modal": "modal",
}  # fmt: skip
VARIANT_TITLES = {"fixed": "fixed", "paper_code": "public code"}


def estimator_title(name: str) -> str:
    """An exact estimator for people; a name that nobody has put into words stays as it is."""
    return ESTIMATOR_TITLES.get(name, name.replace("_", " "))


def short_estimator_title(name: str) -> str:
    """The same beside a line, without what happens to halves."""
    return SHORT_ESTIMATOR_TITLES.get(name) or estimator_title(name)


def objective_title(name: str) -> str:
    """An objective for people."""
    return OBJECTIVES[name].title if name in OBJECTIVES else name


def way_title(objective: str, answer: str) -> str:
    """How a network was trained and answers, such as "cross-entropy over counts, a sample"."""
    title = objective_title(objective)
    return f"{title}, {ANSWER_TITLES[answer]}" if answer in ANSWER_TITLES else title


def short_way_title(objective: str, answer: str, variant: str) -> str:
    """A way to train and answer as it fits beside an axis, such as "cross-entropy: sample"."""
    title = SHORT_OBJECTIVE_TITLES.get(objective, objective)
    answered = f"{title}: {answer}" if answer in ANSWER_TITLES else title
    return answered if variant == CoinSettings.variant else f"{answered} ({VARIANT_TITLES[variant]})"


def rule_title(settings: CoinSettings) -> str:
    """What decides, such as "δ = 0.3"."""
    return f"HDR mass {settings.hdr_mass:g}" if settings.delta is None else f"δ = {settings.delta:g}"


def run_title(settings: CoinSettings) -> str:
    """A run in a few words: N, then whatever differs from the defaults."""
    parts = [f"N = {settings.coins_per_draw}"]
    if settings.variant != CoinSettings.variant:
        parts.append(VARIANT_TITLES[settings.variant])
    if settings.objective != CoinSettings.objective:
        parts.append(objective_title(settings.objective))
    return " · ".join(parts)


def listed(names: list[str]) -> str:
    """Names in a sentence: "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
