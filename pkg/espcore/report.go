package espcore

import "strings"

// Grade says how well the ELF that was given fits the dump.
type Grade string

// The grades.
const (
	Exact    Grade = "exact"    // the dump's hash is the ELF's
	Mismatch Grade = "mismatch" // it is not: names and lines may be wrong
	Unknown  Grade = "unknown"  // the dump has no hash
	Missing  Grade = "missing"  // no ELF was given
)

// Report is what is known of a crash. As JSON it is what `slipway decode --format json` prints.
type Report struct {
	Chip         string    `json:"chip"`          // such as "ESP32-C3"; "" where the dump does not say
	ChipRevision string    `json:"chip_revision"` // such as "v3.1"; "" where the dump does not say
	Architecture string    `json:"architecture"`  // "Xtensa" or "RISC-V"
	Container    string    `json:"container"`     // such as "ELF 1.2"
	Integrity    Integrity `json:"integrity"`
	ELFMatch     Grade     `json:"elf_match"`
	ELFSHA256    string    `json:"elf_sha256"` // what the dump says: a prefix, in hex
	App          *App      `json:"app,omitempty"`

	Panic       string    `json:"panic"`  // the panic handler's text; "" where there was none
	Reason      string    `json:"reason"` // in a line or a few, never empty
	Kind        Kind      `json:"kind"`
	Cause       string    `json:"cause"` // of the exception, by name; "" where the dump does not say
	InISR       bool      `json:"in_isr"`
	Starved     []Starved `json:"starved_tasks,omitempty"` // of a task watchdog; the crashed task may be innocent
	Registers   Registers `json:"registers"`               // of the crashed task
	Warnings    []string  `json:"warnings"`
	Fingerprint string    `json:"fingerprint"`       // of the chain, for the model in [Options]; see [Report.FingerprintFor]
	Chain       []string  `json:"chain"`             // what the fingerprint names: function@file, innermost first, 5 at most
	Damaged     bool      `json:"damaged,omitempty"` // the dump is broken, and with it what said which program it is of
	RawPCs      []Hex     `json:"raw_pcs,omitempty"` // where symbols cannot be trusted: the crashed task's innermost ones
	Tasks       []Task    `json:"tasks"`             // the crashed one first
}

// App is what the app descriptor in the ELF says.
type App struct {
	Project    string `json:"project"`
	Version    string `json:"version"`
	IDFVersion string `json:"idf_version"`
}

// Task is a FreeRTOS task.
type Task struct {
	Name        string   `json:"name"`
	TCB         Hex      `json:"tcb"`
	Crashed     bool     `json:"crashed"`
	Overflow    bool     `json:"overflow"`                     // it has outgrown its stack
	Corrupt     bool     `json:"corrupt"`                      // the device found its TCB or stack destroyed
	Priority    *uint32  `json:"priority"`                     // null where nobody knows
	StackUsed   int64    `json:"stack_used"`                   // bytes from the stack pointer to the stack's end; 0 where unknown
	StackSize   int64    `json:"stack_size"`                   // bytes; 0 where unknown
	Frames      []Frame  `json:"frames"`                       // innermost first
	LeftOut     *LeftOut `json:"frames_left_out,omitempty"`    // of a stack that is too long
	Interrupted []Frame  `json:"interrupted_frames,omitempty"` // what it did when the interrupt came in which the crash was
}

// LeftOut says where frames are missing in the middle of a long stack: such a stack is a recursion mostly, and what
// matters is where it ended and how it began.
type LeftOut struct {
	After int `json:"after"` // so many of the task's frames are before the gap
	Count int `json:"count"` // so many were left out, not counting inlined ones
}

// Frame is one function of a backtrace.
type Frame struct {
	PC       *Hex       `json:"pc"`       // null of a function into which the one before was inlined, and of an inferred one
	Function string     `json:"function"` // "??" where nobody knows
	File     string     `json:"file"`     // "" where unknown
	Line     int        `json:"line"`     // 0 where unknown
	Inlined  bool       `json:"inlined"`  // into the next frame
	How      How        `json:"how"`
	ROM      bool       `json:"rom,omitempty"`
	InApp    bool       `json:"in_app"` // it has a file that is the application's own
	Args     []Argument `json:"args"`

	// What a fingerprint is made of; not part of the report.
	Qualified string `json:"-"` // see [symbol.Frame]
	DeclFile  string `json:"-"`
}

// Argument is a parameter with its value as GDB prints it.
type Argument struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// blamed is the task of which the frames say whose fault it was. When a task watchdog bites, the task that crashed is only
// the one that happened to run: to blame is the first that starved. Idle tasks starve because another one does not give
// way, which is then the one that ran. Nil where it is not in the dump.
func (r *Report) blamed() *Task {
	if r.Kind == KindTaskWatchdog {
		for _, s := range r.Starved {
			for i := range r.Tasks {
				if t := &r.Tasks[i]; t.Name == s.Name && !isIdle(t.Name) && len(t.Frames) > 0 {
					return t
				}
			}
		}
	}
	return r.crashed()
}

// isIdle knows FreeRTOS's idle tasks, one a core.
func isIdle(name string) bool { return strings.TrimRight(name, "01 ") == "IDLE" }

// crashed is the crashed task; nil where it is not in the dump.
func (r *Report) crashed() *Task {
	for i := range r.Tasks {
		if r.Tasks[i].Crashed {
			return &r.Tasks[i]
		}
	}
	return nil
}
