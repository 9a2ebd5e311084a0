package crash

import "math"

// Rate is how often a version crashes: crashes a device-day, with the 90 % interval. Crashes are taken as a Poisson process,
// and the interval is the exact one (Garwood 1936): for k crashes its ends are the 5 % quantile of the gamma distribution of
// shape k and the 95 % quantile of that of shape k+1. The quantiles are found here, in some fifty lines: gonum would bring
// a library of matrices for one function.
type Rate struct {
	Crashes     int      `json:"crashes"`
	Devices     int      `json:"devices"`      // different ones that crashed
	DeviceHours int      `json:"device_hours"` // in which a device that runs the version was heard
	Refused     int      `json:"uploads_refused"`
	PerDay      *float64 `json:"crashes_per_device_day"` // null: no device was heard
	Low         *float64 `json:"low"`
	High        *float64 `json:"high"`
}

// RateOf makes the rate of a sum.
func RateOf(c Count, devices int) Rate {
	r := Rate{Crashes: c.Crashes, Devices: devices, DeviceHours: c.Heard, Refused: c.Refused}
	if c.Heard > 0 {
		days := float64(c.Heard) / 24
		low, high := interval90(c.Crashes)
		per, low, high := float64(c.Crashes)/days, low/days, high/days
		r.PerDay, r.Low, r.High = &per, &low, &high
	}
	return r
}

// interval90 are the ends of the interval of the mean of which k were seen.
func interval90(k int) (low, high float64) {
	if k > 0 {
		low = gammaQuantile(float64(k), 0.05)
	}
	return low, gammaQuantile(float64(k)+1, 0.95)
}

// gammaQuantile finds x with gammaP(a, x) = p by bisection, which cannot miss: gammaP grows with x.
func gammaQuantile(a, p float64) float64 {
	from, to := 0.0, a+1
	for gammaP(a, to) < p {
		to *= 2
	}
	for range 200 {
		x := (from + to) / 2
		if x == from || x == to {
			break
		}
		if gammaP(a, x) < p {
			from = x
		} else {
			to = x
		}
	}
	return to
}

// gammaP is the regularized lower incomplete gamma function for a >= 1: by its series below a+1 (DLMF 8.11.4), by the
// continued fraction of its complement above (DLMF 8.9.2), each where it converges fast.
func gammaP(a, x float64) float64 {
	if x <= 0 {
		return 0
	}
	lg, _ := math.Lgamma(a)
	front := math.Exp(a*math.Log(x) - x - lg)
	const exact = 1e-15
	if x < a+1 {
		term := 1 / a
		total := term
		for n := a + 1; term > total*exact; n++ {
			term *= x / n
			total += term
		}
		return front * total
	}
	// Lentz's way to evaluate x+1-a - 1(1-a)/(x+3-a - 2(2-a)/(x+5-a - ...)).
	const tiny = 1e-300
	b := x + 1 - a
	c, d := 1/tiny, 1/b
	fraction := d
	for i := 1.0; i < 1e6; i++ {
		an := i * (a - i)
		b += 2
		if d = an*d + b; math.Abs(d) < tiny {
			d = tiny
		}
		if c = b + an/c; math.Abs(c) < tiny {
			c = tiny
		}
		d = 1 / d
		fraction *= d * c
		if math.Abs(d*c-1) < exact {
			break
		}
	}
	return 1 - front*fraction
}
