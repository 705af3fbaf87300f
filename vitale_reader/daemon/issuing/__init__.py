"""From a presentation to a signed token in its client's hands."""
