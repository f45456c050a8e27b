"""What several tabs show: verdicts and messages."""
