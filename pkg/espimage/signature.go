package espimage

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
)

const (
	signatureAlign  = 4096 // version 2 starts at the next flash sector
	signatureBlock  = 1216 // bytes of one block of version 2
	signatureBlocks = 3    // so many fit, one for each key
	signatureMagic  = 0xE7
	signatureCRCAt  = 1196
	signatureV1     = 68 // a version word of 0 and an ECDSA signature of 64 bytes
)

// Signature is the secure-boot signature behind an image. Whether its key is a good one only the device's fuses know:
// this package checks the block's own checksum and that it was made for these bytes.
//
// A block of version 2 (ESP-IDF's documentation "Secure Boot v2", Signature Block Format):
//
//	0     1    magic 0xE7
//	1     1    2 RSA, 3 ECDSA
//	4     32   SHA-256 of all bytes before the first block
//	36    ...  RSA-3072: modulus, exponent, two constants, signature; ECDSA: curve (1 P-192, 2 P-256, 3 P-384), key, signature
//	1196  4    CRC32 of the bytes before it
//	1200  16   zeros
type Signature struct {
	Version int        `json:"version"`        // 1 or 2
	Keys    []KeyBlock `json:"keys,omitempty"` // of version 2; version 1 is a bare ECDSA signature
}

// KeyBlock is the signature with one key.
type KeyBlock struct {
	Scheme      string `json:"scheme"`       // such as "RSA-3072"
	ImageSHA256 string `json:"image_sha256"` // hex; what was signed
	DigestValid bool   `json:"digest_valid"` // that is this image
	CRCValid    bool   `json:"crc_valid"`
}

// signature looks for one behind the hash. Bytes that are none are no fault: images are padded and carry all kinds of
// things behind them.
func (w *walk) signature() (*Signature, error) {
	if w.left() == signatureV1 {
		return w.signature1()
	}
	toSector := (signatureAlign - w.at%signatureAlign) % signatureAlign
	if w.left() < toSector+signatureBlock {
		return nil, nil
	}
	if err := w.pass(toSector, nil); err != nil {
		return nil, err
	}
	digest := w.hash.Sum(nil)
	s := &Signature{Version: 2}
	for len(s.Keys) < signatureBlocks && w.left() >= signatureBlock {
		b, err := w.next(signatureBlock)
		if err != nil {
			return nil, err
		}
		if b[0] != signatureMagic {
			break
		}
		s.Keys = append(s.Keys, KeyBlock{
			Scheme:      signatureScheme(b),
			ImageSHA256: hex.EncodeToString(b[4:36]),
			DigestValid: string(b[4:36]) == string(digest),
			CRCValid:    crc32.ChecksumIEEE(b[:signatureCRCAt]) == binary.LittleEndian.Uint32(b[signatureCRCAt:]),
		})
	}
	if len(s.Keys) == 0 {
		return nil, nil
	}
	return s, nil
}

func (w *walk) signature1() (*Signature, error) {
	b, err := w.next(signatureV1)
	if err != nil || binary.LittleEndian.Uint32(b) != 0 {
		return nil, err
	}
	return &Signature{Version: 1}, nil
}

func signatureScheme(b []byte) string {
	switch {
	case b[1] == 2:
		return "RSA-3072"
	case b[1] == 3 && b[36] == 1:
		return "ECDSA P-192"
	case b[1] == 3 && b[36] == 2:
		return "ECDSA P-256"
	case b[1] == 3 && b[36] == 3:
		return "ECDSA P-384"
	}
	return "unknown"
}
