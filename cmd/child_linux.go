package cmd

import "syscall"

// childAttributes keep the child out of the terminal's process group, so that Ctrl-C reaches us first
// and we stop in order; and let it end with us, even where we are killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
