package depot

import (
	"crypto/md5"
	"fmt"
	"io"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// md5Of is the MD5 of what a model's devices are served.
func (h *house) md5Of(t *testing.T, v fleet.Version) string {
	t.Helper()
	m, err := h.store.Model("pump")
	must(t, err)
	image, err := h.OpenImage(m, v)
	must(t, err)
	defer image.File.Close()
	sum := md5.New()
	_, err = io.Copy(sum, image.File)
	must(t, err)
	if got := fmt.Sprintf("%x", sum.Sum(nil)); image.ImageMD5 != got || image.SketchMD5 != got || image.SketchSHA256 == "" || image.Chip == "" {
		t.Errorf("opened: %+v, want %s", image, got)
	}
	return image.ImageMD5
}

func TestABuildAndAPlainImageAreRecordedWithTheirMD5(t *testing.T) {
	h, _, b := withBuild(t)
	if stored, err := h.store.Build("pump", b.Version); err != nil || stored.ImageMD5 != h.md5Of(t, b.Version) {
		t.Errorf("bundle: %+v, %v", stored.Sums, err)
	}
	h, _ = withImage(t)
	if m, err := h.store.Model("pump"); err != nil || m.ImageMD5 != h.md5Of(t, "1.0.0") {
		t.Errorf("plain image: %+v, %v", m.Sums, err)
	}
}

func TestWhatWasRecordedBeforeThereWereMD5sIsGivenThem(t *testing.T) {
	h, _, b := withBuild(t)
	want := b.Sums
	b.Sums = fleet.Sums{}
	_, _, err := h.store.RecordBuild(t.Context(), b, true)
	must(t, err)
	h.md5Of(t, b.Version) // is known to who serves it, whatever is recorded
	must(t, h.FillSums(t.Context()))
	if stored, err := h.store.Build("pump", b.Version); err != nil || stored.Sums != want || want.ImageMD5 == "" {
		t.Errorf("bundle: %+v, want %+v, %v", stored.Sums, want, err)
	}

	h, _ = withImage(t)
	m, err := h.store.Model("pump")
	must(t, err)
	want = m.Sums
	_, err = h.store.PublishImage(t.Context(), fleet.Build{Model: "pump", Version: "1.0.0", ImageSHA256: m.ImageSHA256})
	must(t, err)
	must(t, h.FillSums(t.Context()))
	if m, err := h.store.Model("pump"); err != nil || m.Sums != want || want.ImageMD5 == "" {
		t.Errorf("plain image: %+v, want %+v, %v", m.Sums, want, err)
	}
}

func TestADamagedImageIsGivenNoMD5(t *testing.T) {
	h, _, b := withBuild(t)
	b.Sums = fleet.Sums{}
	_, _, err := h.store.RecordBuild(t.Context(), b, true)
	must(t, err)
	flip(t, h.path("pump", b.Version, imageSuffix))
	must(t, h.FillSums(t.Context()))
	if stored, err := h.store.Build("pump", b.Version); err != nil || stored.Sums != (fleet.Sums{}) {
		t.Errorf("%+v, %v", stored.Sums, err)
	}
}
