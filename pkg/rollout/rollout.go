// Package rollout brings a build to a model's devices in waves that go on by themselves while it is shown to be no worse than
// the one before, and stop by themselves when it is shown to be worse.
//
// What is seen of devices comes in as changes: a download that is over, a boot, a crash, a silence. What goes out is who is
// offered which build, and records. The judge is pure: marks in, evidence out, and the same marks give the same evidence after
// a restart.
package rollout
