package sighting

import "context"

// Flush saves at once what waits to be saved.
func (b *Book) Flush(ctx context.Context) error { return b.flush(ctx) }
