//go:build unix && !linux

package cmd

import "syscall"

// childAttributes keep the child out of the terminal's process group, so that Ctrl-C reaches us first
// and we stop in order.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
