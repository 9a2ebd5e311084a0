package bundle

import (
	"bytes"
	"io"
)

// The ELF stays opaque: that it was stripped shows without parsing it, by the words that are missing. Section names are
// never compressed, so an ELF with debug information has them somewhere.
var (
	debugInfo    = []byte(".debug_info\x00")
	oldDebugInfo = []byte(".zdebug_info\x00")
)

// hasDebugInfo reads r to the end, or as far as it takes to tell whether an ELF has debug information.
func hasDebugInfo(r io.Reader) (bool, error) {
	const kept = 16 // more than a name that lies across two reads
	buf := make([]byte, kept+64<<10)
	held := 0
	for {
		n, err := r.Read(buf[held:])
		seen := buf[:held+n]
		if bytes.Contains(seen, debugInfo) || bytes.Contains(seen, oldDebugInfo) {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		held = copy(buf, seen[max(0, len(seen)-kept):])
	}
}
