"""From features of genuine samples to regions: mixtures, thresholds, HCDR frames."""
