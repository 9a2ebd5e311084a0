// Package fleet holds the words of the factory floor as values: models, devices, builds, dumps, the names that
// identify them and the order of firmware versions.
//
// It knows no transport, no disk and no clock. Whoever holds a [ModelCode], [DeviceKey] or [Version] made by its
// Parse function need not check it again: none of them can leave its directory or split a URL.
//
// The package also owns the six errors that doors turn into statuses; see [Error].
package fleet
