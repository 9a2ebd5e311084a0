package bundle

// Limits bound what a bundle may hold, in bytes.
type Limits struct {
	Whole    int64 // the ZIP itself
	Image    int64 // inflated, as are the ones below
	ELF      int64
	Map      int64
	Settings int64 // sdkconfig
	Versions int64 // version.json
}

// DefaultLimits leave room for the largest flash (16 MiB mapped), for ELFs and maps ten times the largest seen, and
// for papers that people read.
var DefaultLimits = Limits{
	Whole:    512 << 20,
	Image:    16 << 20,
	ELF:      256 << 20,
	Map:      256 << 20,
	Settings: 1 << 20,
	Versions: 64 << 10,
}

const (
	maxEntries = 64   // looked at; a good bundle has five
	maxName    = 255  // bytes; the longest good name has 54
	maxExtra   = 4096 // bytes of extra fields or comment of one entry; the known ones have at most 100
)
