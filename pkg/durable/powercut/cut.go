package powercut

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"syscall"
	"testing"
)

// Cut calls check for each point of the record and each loss, with a folder that holds what the disk then does, and what
// had been acknowledged. What check reports is named after the point.
func (r *Recorder) Cut(t *testing.T, check func(t *testing.T, root string, acknowledged []string)) {
	t.Helper()
	r.mu.Lock()
	steps := r.steps
	r.mu.Unlock()
	points := 0
	for i, s := range steps {
		for _, loss := range []Loss{All, Names} {
			ok := t.Run(fmt.Sprintf("cut after step %d, %s, losing %s", i, s.what, loss), func(t *testing.T) {
				root := t.TempDir()
				if err := lay(root, s, loss); err != nil {
					t.Fatal(err)
				}
				check(t, root, s.acked)
			})
			points++
			if !ok {
				return // the points behind it fail for the same reason
			}
		}
	}
	if acknowledged := len(steps[len(steps)-1].acked); acknowledged == 0 {
		t.Error("nothing was acknowledged: the test proves nothing")
	} else {
		t.Logf("%d points, %d acknowledged at the end", points, acknowledged)
	}
}

// lay makes the files. Names of one inode stay one.
func lay(root string, s step, loss Loss) error {
	tree := s.safe
	if loss == Names {
		tree = s.names
	}
	paths := make([]string, 0, len(tree))
	for path := range tree {
		paths = append(paths, path)
	}
	sort.Strings(paths) // a directory before what is in it
	first := map[fileID]string{}
	for _, path := range paths {
		e, full := tree[path], filepath.Join(root, path)
		if e.dir {
			if err := os.MkdirAll(full, 0o750); err != nil {
				return err
			}
			continue
		}
		if _, err := os.Stat(filepath.Dir(full)); err != nil {
			continue // its directory's own name was lost, and it with it
		}
		if other, linked := first[e.id]; linked {
			if err := os.Link(other, full); err != nil {
				return err
			}
			continue
		}
		first[e.id] = full
		if err := os.WriteFile(full, e.content, 0o640); err != nil {
			return err
		}
	}
	return nil
}

func identify(path string) (fileID, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileID{}, err
	}
	return idOf(info), nil
}

func idOf(info fs.FileInfo) fileID {
	stat := info.Sys().(*syscall.Stat_t)      // this is Linux
	return fileID{uint64(stat.Dev), stat.Ino} //nolint:unconvert // narrower on some machines
}
