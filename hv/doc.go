// Package hv is the hypervisor under test and its guests: their images, as
// built from the C and assembly in src, what those images call things, and
// the host's side of the probe protocol.
//
// Nothing here runs. The images are ordinary multiboot kernels; package
// machine loads and executes them.
package hv
