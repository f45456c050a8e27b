"""hallulab: δ-hallucination made visible, measurable and usable."""

__version__ = "0.1.0"
