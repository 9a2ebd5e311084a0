package espcore

import "fmt"

// ErrEncrypted is the error of a partition that was read past the chip's flash encryption. It wraps [ErrFormat].
var ErrEncrypted = fmt.Errorf("%w: it looks encrypted: read the partition with the device's own upload, or decrypt it", ErrFormat)

// looksEncrypted reports whether all byte values are as frequent as in ciphertext. Flash that was never written reads as
// 0xFF whatever is encrypted, and is left out.
func looksEncrypted(data []byte) bool {
	const (
		block = 16   // of AES
		least = 1024 // bytes, for a judgement
		most  = 400  // chi-squared of 255 degrees of freedom: 255 ± 23 of ciphertext, far more of anything else
	)
	var counts [256]int
	total := 0
	for ; len(data) >= block; data = data[block:] {
		b := data[:block]
		if isSame(b) {
			continue
		}
		for _, v := range b {
			counts[v]++
		}
		total += block
	}
	if total < least {
		return false
	}
	expected := float64(total) / float64(len(counts))
	chi := 0.0
	for _, n := range counts {
		d := float64(n) - expected
		chi += d * d / expected
	}
	return chi < most
}

func isSame(b []byte) bool {
	for _, v := range b {
		if v != b[0] {
			return false
		}
	}
	return true
}
