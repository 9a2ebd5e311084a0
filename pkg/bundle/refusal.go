package bundle

import (
	"errors"
	"fmt"

	"github.com/slipway-gateway/slipway/pkg/espimage"
)

// Refusal says what is wrong with a bundle, in words for the one who brought it.
type Refusal struct {
	Reason string
}

func (r *Refusal) Error() string { return r.Reason }

func refuse(format string, args ...any) error {
	return &Refusal{Reason: fmt.Sprintf(format, args...)}
}

// refuseImage turns what espimage says of the image's format into a refusal that names the file, and takes a refusal
// of the ZIP out of what espimage wrapped around it.
func refuseImage(name string, err error) error {
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		return refusal
	}
	if format := (*espimage.FormatError)(nil); errors.As(err, &format) {
		return refuse("%s is %s", name, format)
	}
	return err
}
