"""The definitions and theorems of [LHZSL] and [KNVZ] on plain arrays."""
