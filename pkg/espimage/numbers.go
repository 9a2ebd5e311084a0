package espimage

import "fmt"

// Hex32 is "0x40080cb8" in text and JSON, as in what esptool prints.
type Hex32 uint32

// Hex8 is "0x05".
type Hex8 uint8

// Hex4 is "0x5", without leading zeros.
type Hex4 uint8

// Length is "0x05124".
type Length uint32

// Revision is major*100+minor, "v1.2" in text.
type Revision uint16

func (h Hex32) String() string    { return fmt.Sprintf("0x%08x", uint32(h)) }
func (h Hex8) String() string     { return fmt.Sprintf("0x%02x", uint8(h)) }
func (h Hex4) String() string     { return fmt.Sprintf("%#x", uint8(h)) }
func (l Length) String() string   { return fmt.Sprintf("0x%05x", uint32(l)) }
func (r Revision) String() string { return fmt.Sprintf("v%d.%d", r/100, r%100) }

// MarshalText is the form that esptool prints.
func (h Hex32) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// MarshalText is the form that esptool prints.
func (h Hex8) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// MarshalText is the form that esptool prints.
func (h Hex4) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// MarshalText is the form that esptool prints.
func (l Length) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// MarshalText is the form that esptool prints.
func (r Revision) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
