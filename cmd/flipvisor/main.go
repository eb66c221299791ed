// Command flipvisor flips bits under a hypervisor, and says who noticed.
//
// It is a client of the packages: each command reads its arguments, calls
// one of them and prints. What can be done here can be done from Go with the
// same few calls.
package main

import (
	"os"

	"github.com/flipvisor/flipvisor/campaigns/lab"
)

func main() {
	a := app{build: lab.New, in: os.Stdin, out: os.Stdout, err: os.Stderr}
	os.Exit(a.main(os.Args[1:]))
}
