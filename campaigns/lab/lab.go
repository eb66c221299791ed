package lab

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/hv"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/machine"
)

// Lab is a setup with its golden run, and two machines to experiment on.
type Lab struct {
	setup   campaigns.Setup
	image   []byte
	guests  map[string][]byte
	symbols *hv.Symbols

	shared *shared
	limit  uint64 // a run that is longer hangs

	// Machines, made when first needed: the one that is flipped, the one
	// that repeats the golden run beside it, the one that repeats the flip.
	faulty, golden, repeat *machine.Machine
}

var (
	_ campaigns.Builder = New
	_ campaigns.Lab     = (*Lab)(nil)
)

// New makes a lab of a setup.
func New(setup campaigns.Setup) (campaigns.Lab, error) {
	l := &Lab{setup: setup, image: hv.Hypervisor, guests: make(map[string][]byte)}
	if l.setup.Machine.HangFactor <= 1 {
		l.setup.Machine.HangFactor = 3
	}
	if path := setup.Hypervisor.Image; path != "" {
		image, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("hypervisor image: %w", err)
		}
		l.image = image
	}
	symbols, err := hv.ReadSymbols(l.image)
	if err != nil {
		return nil, fmt.Errorf("hypervisor image %s: %w", setup.Hypervisor.Image, err)
	}
	l.symbols = symbols
	for _, vm := range setup.VMs {
		if vm.Image == "" || l.guests[vm.Image] != nil {
			continue
		}
		image, err := os.ReadFile(vm.Image)
		if err != nil {
			return nil, fmt.Errorf("image of VM %s: %w", vm.Name, err)
		}
		l.guests[vm.Image] = image
	}
	_, err = l.newMachine() // a setup that cannot be loaded fails here
	return l, err
}

// Fork gives another lab with the same golden run.
func (l *Lab) Fork() (campaigns.Lab, error) {
	if l.shared == nil {
		return nil, errors.New("fork of a lab without its golden run")
	}
	f := *l
	f.faulty, f.golden, f.repeat = nil, nil, nil
	return &f, nil
}

// Close gives the machines back.
func (l *Lab) Close() error {
	l.faulty, l.golden, l.repeat = nil, nil, nil
	return nil
}

func (l *Lab) ownHypervisor() bool { return l.setup.Hypervisor.Image == "" }

// newMachineFor gives the machine of a slot, building it the first time.
func (l *Lab) newMachineFor(slot **machine.Machine) (*machine.Machine, error) {
	if *slot != nil {
		return *slot, nil
	}
	m, err := l.newMachine()
	*slot = m
	return m, err
}

// newMachine builds the setup's machine, loaded and at its first instruction.
func (l *Lab) newMachine() (*machine.Machine, error) {
	s := &l.setup
	cfg := machine.Config{Memory: uint64(s.Machine.Memory)}
	if s.Machine.Counters == 0 {
		model := cpu.DefaultModel()
		model.Features &^= cpu.FeaturePMU
		cfg.Model = &model
	}
	m, err := machine.New(cfg)
	if err != nil {
		return nil, err
	}
	var modules []machine.Module
	for _, vm := range s.VMs {
		image := hv.MiniOS
		if vm.Image != "" {
			image = l.guests[vm.Image]
		}
		modules = append(modules, machine.Module{Args: vmArgs(&vm), Data: image})
	}
	if s.Hypervisor.Model != nil {
		modules = append(modules, machine.Module{Args: "model", Data: s.Hypervisor.Model.Encode()})
	}
	if err := m.LoadMultiboot(l.image, l.commandLine(), modules); err != nil {
		return nil, fmt.Errorf("hypervisor: %w", err)
	}
	return m, nil
}

// commandLine is the hypervisor's.
func (l *Lab) commandLine() string {
	h := &l.setup.Hypervisor
	var detectors []string
	for _, d := range h.Detectors {
		detectors = append(detectors, d.String())
	}
	if len(detectors) == 0 {
		detectors = []string{"none"}
	}
	words := []string{"hypervisor", "detect=" + strings.Join(detectors, ","), "policy=" + string(h.Policy)}
	if l.setup.Profile {
		words = append(words, "profile")
	}
	if h.Quantum != 0 {
		words = append(words, fmt.Sprintf("quantum=%d", h.Quantum))
	}
	if h.Options != "" {
		words = append(words, h.Options)
	}
	return strings.Join(words, " ")
}

// vmArgs is the command line of a VM's boot module: for the hypervisor, then
// for the guest.
func vmArgs(vm *campaigns.VM) string {
	words := []string{"guest"}
	if vm.Memory != 0 {
		words = append(words, fmt.Sprintf("memory=%d", vm.Memory>>20))
	}
	if vm.Weight != 0 {
		words = append(words, fmt.Sprintf("weight=%d", vm.Weight))
	}
	if vm.Disk != 0 {
		words = append(words, fmt.Sprintf("disk=%d", vm.Disk>>10))
	}
	words = append(words, "--")
	if vm.Workload != "" {
		words = append(words, fmt.Sprintf("workload=%s scale=%d seed=%d repeat=%d", vm.Workload, vm.Scale, vm.Seed, max(vm.Repeat, 1)))
	}
	if vm.Tick != 0 {
		words = append(words, fmt.Sprintf("tick=%d", vm.Tick))
	}
	if vm.Peer != nil {
		words = append(words, fmt.Sprintf("peer=%d", *vm.Peer))
	}
	if vm.Options != "" {
		words = append(words, vm.Options)
	}
	return strings.Join(words, " ")
}

// vmNumber is whose the guest is that runs: the hypervisor numbers its VMs by
// VPID, from 1. Where a VM is known already, it is known by its control
// structure, because a fault may be in the VPID. ok is false for a guest that
// never ran in the golden run.
func (l *Lab) vmNumber(m *machine.Machine) (vm int, ok bool) {
	if l.shared != nil {
		vm, ok = l.shared.vms[m.CPU.VMCSPointer()]
		return vm, ok
	}
	return max(int(m.CPU.VPID())-1, 0), true
}

// point describes the present of a machine.
func (l *Lab) point(m *machine.Machine) inject.Point {
	at, rip := m.CPU.Where()
	p := inject.Point{At: at, RIP: inject.Address(rip), Mode: inject.Root}
	if m.CPU.InGuest() {
		p.Mode = inject.Mode{Kind: inject.GuestMode}
		if vm, ok := l.vmNumber(m); ok {
			p.Mode = inject.Mode{Kind: inject.OneVM, VM: vm}
		}
	} else if m.CPU.Mode() == decode.Mode64 || rip < 1<<32 {
		p.Symbol = l.symbols.Format(rip)
	}
	return p
}
