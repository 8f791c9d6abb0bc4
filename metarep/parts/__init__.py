"""The parts inside one network: which of them do the same thing."""
