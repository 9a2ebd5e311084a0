package fleet

import (
	"errors"
	"fmt"
	"syscall"
)

// The six ways in which the house says no. Doors turn them into statuses (404, 409, 400, 507, 503), the drop folder into
// rejections (ErrRefused, ErrTaken) or a later try (everything else).
var (
	ErrUnknown = errors.New("unknown")
	ErrTaken   = errors.New("taken")
	ErrRefused = errors.New("refused")
	ErrFull    = errors.New("full")
	ErrDamaged = errors.New("damaged")
	ErrAway    = errors.New("away")
)

// Error is one of the six with a sentence that an operator may see. Its text is only the sentence.
type Error struct {
	Kind   error // ErrUnknown, ErrTaken, ErrRefused, ErrFull, ErrDamaged or ErrAway
	Reason string
}

func (e *Error) Error() string { return e.Reason }
func (e *Error) Unwrap() error { return e.Kind }

// Unknown says that something named does not exist.
func Unknown(format string, args ...any) error { return newError(ErrUnknown, format, args) }

// Taken says that something else has the name already, or that it is in use.
func Taken(format string, args ...any) error { return newError(ErrTaken, format, args) }

// Refused says that the input can never be accepted as it is.
func Refused(format string, args ...any) error { return newError(ErrRefused, format, args) }

// Full says that the disk has no room.
func Full(format string, args ...any) error { return newError(ErrFull, format, args) }

// Damaged says that what was stored is not what it was, and is served to nobody.
func Damaged(format string, args ...any) error { return newError(ErrDamaged, format, args) }

// Away says that something cannot be read at this moment, and can later.
func Away(format string, args ...any) error { return newError(ErrAway, format, args) }

// Told reports that a record was not stored as the catalog takes none, or is not there for a moment: ErrFull or ErrAway. The
// gateway says that once, for all that waits for it, and nobody else does.
func Told(err error) bool { return errors.Is(err, ErrFull) || errors.Is(err, ErrAway) }

func newError(kind error, format string, args []any) error {
	return &Error{Kind: kind, Reason: fmt.Sprintf(format, args...)}
}

// OfDisk turns the kernel's words for a disk that takes nothing into the house's: one that is full, one whose quota is
// used up and one that is read-only are all ErrFull. Every other error is returned as it is.
func OfDisk(err error) error {
	var said *Error
	switch {
	case errors.As(err, &said):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return Full("the disk is full: %v", err)
	case errors.Is(err, syscall.EROFS):
		return Full("the disk is read-only: %v", err)
	}
	return err
}
