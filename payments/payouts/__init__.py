"""Money out: what each shop is owed, when it is paid, by which channel, and how each payout ends."""
