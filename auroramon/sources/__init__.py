"""Where files come from: a watched folder (`watch`), or an archive (`walk`), by one rule (`arrivals`)."""
