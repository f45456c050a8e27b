"""Where examples come from: generated worlds, image folders, question sets."""
