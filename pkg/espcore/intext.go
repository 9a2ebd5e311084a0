package espcore

import (
	"errors"
)

// findInText looks for the dump in the forms in which bytes are written as text. The first in which there is one wins.
func (f *finder) findInText(text []byte, wraps int) (found, error) {
	told := errUnknown(text)
	for _, form := range []func([]byte) [][]byte{fromJSON, fromHexdump, fromHex, fromArray} {
		if !f.spend(len(text)) {
			break
		}
		for _, data := range form(text) {
			if !f.spend(len(data)) {
				break
			}
			out, err := f.findInBytes(data, wraps)
			if err == nil {
				return out, nil
			}
			if errors.Is(err, ErrEncrypted) || errors.Is(err, ErrEmpty) {
				told = err
			}
		}
	}
	if texts := textsOfJSON(text); len(texts) > 0 && wraps > 0 {
		for _, inner := range texts {
			if !f.spend(len(inner)) {
				break
			}
			if out, err := f.findInText(inner, 0); err == nil {
				return out, nil
			}
		}
	}
	out, err := f.findInBase64(text, wraps)
	if err != nil && !errors.Is(err, ErrEncrypted) {
		err = told
	}
	return out, err
}

// findInBytes looks for the dump in what was text. It may be packed; text in text is none.
func (f *finder) findInBytes(data []byte, wraps int) (found, error) {
	if out, ok := direct(data); ok {
		return out, nil
	}
	if wraps > 0 {
		if out, err := f.unpack(data, wraps); !errors.Is(err, errNotPacked) {
			return out, err
		}
	}
	return findInFlash(data)
}
