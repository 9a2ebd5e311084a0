package auth

// NewShortStore is the store in memory, for the suite that it has in common with the catalog.
func NewShortStore() *shortStore { return newStore() }
