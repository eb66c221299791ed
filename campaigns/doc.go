// Package campaigns reads, plans, runs and keeps fault-injection campaigns.
//
// A campaign is an HCL file ([Load]): the machine, the hypervisor and its
// detectors, the VMs and their workloads, the faults, how many of them, and
// the bar the result has to pass. From it follow, in this order:
//
//	Campaign ── Setup ──▶ Builder ──▶ Lab ──▶ Golden      the run without a fault
//	    └─── fault blocks + Golden ──▶ inject.Space      every fault there could be
//	                     └── seed, index ──▶ Experiment
//	                                            │ Lab.Run, in several workers
//	                                            ▼
//	                          Store (DIR/results.jsonl) ──▶ report
//
// A [Lab] is where experiments happen. This package knows nothing of how;
// lab.go says what it relies on.
package campaigns
