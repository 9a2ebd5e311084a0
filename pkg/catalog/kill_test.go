package catalog

const (
	childVariable = "SLIPWAY_CATALOG_CHILD"
	childFolder   = "SLIPWAY_CATALOG_FOLDER"
)

var children = map[string]func(dir string) error{}
