# Bits of memory flip, by whose memory it is: the hypervisor's code and data,
# the tables it gives to the processor, its VMs. The report's table of targets
# shows which of them matter most per bit; "weight" keeps the small but
# critical ones from drowning in the sea of VM memory.

campaign "memory" {
  description = "Memory flips by owner: hypervisor, page tables, VMs"
}

hypervisor {
  detectors = ["runtime", "transition"]
  policy    = "continue"
}

vm "compress" {
  workload = "bzip2"
  seed     = 201
}

vm "anneal" {
  workload = "canneal"
  seed     = 202
}

vm "read" {
  workload = "seqread"
  seed     = 203
}

fault "code" {
  weight = 3
  target "memory" {
    owner = "hv-text"
  }
  trigger "uniform" {
    mode = "any"
  }
}

fault "data" {
  weight = 3
  target "memory" {
    owner = ["hv-rodata", "hv-data", "hv-bss", "hv-stack"]
  }
  trigger "uniform" {
    mode = "any"
  }
}

fault "tables" {
  weight = 2
  target "memory" {
    owner = ["hv-page-tables", "ept"]
  }
  trigger "uniform" {
    mode = "any"
  }
}

# Strikes that take several neighbouring bits grow commoner with each process
# generation.
fault "data-burst" {
  weight = 1
  kind   = "burst"
  width  = 4
  target "memory" {
    owner = ["hv-data", "hv-bss"]
  }
  trigger "uniform" {
    mode = "any"
  }
}

fault "control-structures" {
  weight = 2
  target "vmcs" {
    fields = ["control", "guest", "host"]
  }
  trigger "uniform" {
    mode = "root"
  }
}

sample {
  margin     = 0.02
  confidence = 0.95
  seed       = 1
}

# No bar for coverage: what detectors of control flow can do about data is
# the question, not the requirement.
gate {
  max_tool_errors = 0
}
