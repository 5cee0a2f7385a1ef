"""Payment codes of any wallet: what each kind says, read tolerantly and written strictly."""
