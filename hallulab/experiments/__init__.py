"""One experiment per file: settings in, records out."""
