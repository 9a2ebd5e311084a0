package symbol

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// fixture is one of the real builds that lie beside the repository.
func fixture(t testing.TB, chip, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "fixtures", "coredumps", chip, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs the fixtures beside the repository: %s is not there", path)
	}
	return path
}

func openFixture(t testing.TB, chip string) *Index {
	t.Helper()
	f, err := os.Open(fixture(t, chip, "app.elf"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	x, err := Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return x
}

var chips = []string{"esp32", "esp32_bin", "esp32c3", "esp32c6"}

type gdbFrame struct {
	PC       *string
	Function string
	Args     string
	File     *string
	Line     int
}

type gdbTask struct {
	Task   string
	Frames []gdbFrame
}

func gdbTasks(t testing.TB, chip string) []gdbTask {
	t.Helper()
	b, err := os.ReadFile(fixture(t, chip, "frames.json"))
	if err != nil {
		t.Fatal(err)
	}
	var tasks []gdbTask
	if err := json.Unmarshal(b, &tasks); err != nil {
		t.Fatal(err)
	}
	return tasks
}
