"""The accelerate-managed core: presets, placement, queue, generation."""
