package fleet

import (
	"math"
	"strconv"
)

// What a plan rules out, in words: the page, the command line, and a rollout's own gates and warnings say the same.

// BootsText is a share of boots that crash, "" for none.
func BootsText(share float64) string {
	if share == 0 {
		return ""
	}
	return PercentText(share) + " of boots crash"
}

// DailyText is how many crashes a device and day come on top of the old build's, "" for none.
func DailyText(more float64) string {
	if more == 0 {
		return ""
	}
	return threeDigits(100*more) + " more crashes per 100 devices and day"
}

// PercentText is a share as people read it: 5 %.
func PercentText(share float64) string { return threeDigits(100*share) + " %" }

// threeDigits leaves out what floating point makes of a number such as 0.07.
func threeDigits(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(v))))
	return strconv.FormatFloat(math.Round(v*scale)/scale, 'f', -1, 64)
}
