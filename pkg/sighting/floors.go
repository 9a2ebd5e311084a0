package sighting

import "time"

// floors are the times that no device is asked to be faster than. All are made of one, [Options.UpWithin], which is
// 15 minutes but in tests; the comments say what each is then.
type floors struct{ upWithin time.Duration }

func (f floors) live() moment { return moment(f.upWithin.Milliseconds()) }       // 15 min
func (f floors) late() moment { return moment(2 * f.upWithin.Milliseconds()) }   // 30 min
func (f floors) due() moment  { return moment(f.upWithin.Milliseconds() / 8) }   // 2 min
func (f floors) once() moment { return moment(f.upWithin.Milliseconds() / 180) } // 5 s: requests this close are one contact

// boot is the minute in which esp-mdm's token and configuration are one boot. HTTP takes its time however short the others
// are, so that it is two seconds at least.
func (f floors) boot() moment {
	return moment(max(f.upWithin/15, 2*time.Second).Milliseconds())
}

// look is how often silence is looked for: every 15 s.
func (f floors) look() time.Duration { return max(f.upWithin/60, 50*time.Millisecond) }
