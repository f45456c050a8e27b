"""What hallulab raises on purpose; each message is one sentence a person can act on."""


class HallulabError(Exception):
    """Something a person must see: a missing checkpoint, a full device, a question nobody can judge."""


class RefusedInputError(HallulabError, ValueError):
    """Input that cannot be used. The message says what was expected, what was given, what to do."""
