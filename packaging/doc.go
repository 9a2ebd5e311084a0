// Package packaging holds what the packages are made of; it has only tests. Those with the tag "packages" look into the
// packages (`make test-package`), those with "emulated" run the binaries of other machines (`make test-emulated`), and
// those with "boot" install the packages on a real systemd (`make test-boot`).
package packaging
