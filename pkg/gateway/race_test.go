//go:build race

package gateway

func init() { manyDevices, manyDumps, manyGroups = manyDevices/10, manyDumps/10, manyGroups/10 }
