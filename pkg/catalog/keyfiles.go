package catalog

import (
	"context"
)

// keyFiles is the record of which files lie among the gateway's keys: one that goes missing is missed.
type keyFiles struct {
	Names []string `json:"names"`
}

// KeyFiles are the names that were noted last, none in a catalog that is new or restored.
func (c *Catalog) KeyFiles() ([]string, error) {
	var noted keyFiles
	_, err := c.find(keyFilesKey, &noted)
	return noted.Names, err
}

// NoteKeyFiles notes which files lie among the gateway's keys.
func (c *Catalog) NoteKeyFiles(ctx context.Context, names []string) error {
	return c.update(ctx, func(t *tx) error { return t.put(keyFilesKey, keyFiles{names}) })
}
