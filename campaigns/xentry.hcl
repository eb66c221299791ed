# The evaluation of Xentry (ICPP 2014), done again: single bits of the
# architectural registers flip while the hypervisor handles VM exits. The two
# detectors are Xentry's: fatal exceptions and assertions at run time, and a
# decision tree over (exit reason, instructions, branches, loads, stores)
# before each VM entry. The paper reports that together they detect more than
# 99 % of the faults that make a difference.
#
# The model was trained by xentry-train.hcl, on other mixes of workloads and
# other seeds than those here.

campaign "xentry" {
  description = "Register flips in the hypervisor, judged by Xentry's two detectors"
}

hypervisor {
  detectors = ["runtime", "transition"]
  policy    = "continue"
}

vm "flow" {
  workload = "mcf"
  seed     = 101
}

vm "compress" {
  workload = "bzip2"
  seed     = 102
}

vm "files" {
  workload = "postmark"
  seed     = 103
}

# As in the paper: the general registers, the instruction pointer and the
# flags, at any instruction the hypervisor executes.
fault "registers" {
  target "register" {
    names = ["general", "rip", "rflags"]
  }
  trigger "uniform" {
    mode  = "root"
    after = "vms-ready"
  }
}

sample {
  margin     = 0.01
  confidence = 0.95
  seed       = 1
}

gate {
  min_coverage_manifested = 0.99
  max_invalid             = 0
  confidence              = 0.95
}
