// Package packaging holds what the packages are made of; it has tests alone. Those with the tag "boot" install the
// packages on a real systemd (`make test-boot`).
package packaging
