package gateway

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// SpaceOf says what is free and what there is on a folder's file system, in bytes.
func SpaceOf(dir string) func() (free, total int64, err error) {
	return func() (int64, int64, error) {
		var stat unix.Statfs_t
		if err := unix.Statfs(dir, &stat); err != nil {
			return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
		}
		block := int64(stat.Bsize) //nolint:unconvert // 32 bits wide on ARM
		return int64(stat.Bavail) * block, int64(stat.Blocks) * block, nil
	}
}
