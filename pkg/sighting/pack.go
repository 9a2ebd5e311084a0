package sighting

import (
	"encoding/binary"
	"iter"
	"math"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// contact is when a device was heard last, and its rhythm.
type contact struct {
	device fleet.DeviceKey
	heard  int64  // milliseconds since 1970, whole seconds
	rhythm uint32 // milliseconds
}

// Contacts are packed, many in one value:
//
//	8 bytes   device key
//	4 bytes   last contact, seconds since 1970, big endian
//	4 bytes   rhythm, milliseconds, big endian
const packed = 16

// mostPacked is the largest value in bytes: what the catalog stores in one.
const mostPacked = 32 << 10

// pack lays contacts into values.
func pack(contacts []contact) [][]byte {
	var values [][]byte
	for i, c := range contacts {
		if i%(mostPacked/packed) == 0 {
			values = append(values, make([]byte, 0, min(mostPacked, (len(contacts)-i)*packed)))
		}
		v := &values[len(values)-1]
		*v = append(*v, c.device...)
		*v = binary.BigEndian.AppendUint32(*v, uint32(min(max(c.heard/1000, 0), math.MaxUint32)))
		*v = binary.BigEndian.AppendUint32(*v, c.rhythm)
	}
	return values
}

// unpack reads the contacts of a value. What is no whole contact is passed over.
func unpack(value []byte) iter.Seq[contact] {
	return func(yield func(contact) bool) {
		for ; len(value) >= packed; value = value[packed:] {
			key, err := fleet.ParseDeviceKey(string(value[:8]))
			if err != nil {
				continue
			}
			c := contact{key, int64(binary.BigEndian.Uint32(value[8:])) * 1000, binary.BigEndian.Uint32(value[12:])}
			if !yield(c) {
				return
			}
		}
	}
}
