# One of everything, so that a reader of the sources finds an example.

campaign "every-block" {
  description = "one of everything"
  overhead    = false
}

machine {
  memory      = "256MiB"
  hang_factor = 1.5
  cpu {
    counters = 8
  }
  cache "l1d" {
    size       = "16KiB"
    ways       = 4
    protection = "secded"
  }
}

hypervisor {
  detectors = ["watchdog", "runtime"]
  policy    = "stop"
  quantum   = 20000
  options   = "quiet"
}

vm "first" {
  workload = "mcf"
  scale    = 2
  seed     = 3
  repeat   = 4
  memory   = "8MiB"
  disk     = "16KiB"
  weight   = 512
  tick     = 60000
  peer     = 1
  options  = "stats=1"
}

vm "second" {
  workload = "seqwrite"
}

fault "registers" {
  weight = 5
  bits   = "0-31"
  target "register" {
    names = ["general", "cs.base", "efer"]
  }
  trigger "uniform" {
    mode   = "vm 1"
    after  = "boot"
    before = "done"
  }
}

fault "burst" {
  kind  = "burst"
  width = 3
  target "memory" {
    symbol = ["run_queue", "vms"]
  }
  target "memory" {
    section = ".text"
  }
  trigger "symbol" {
    name   = "schedule+0x10"
    number = "2-5"
    offset = "0-9"
    mode   = "root"
  }
}

fault "mask" {
  kind  = "random-mask"
  width = 8
  bits  = "0-3"
  target "memory" {
    address = "0x140000-0x140fff"
  }
  trigger "access" {
    symbol = "run_queue"
    how    = "write"
    number = 3
  }
}

fault "stuck" {
  kind = "stuck-at-1"
  target "vmcs" {
    fields = ["guest_rip", "host"]
    vm     = ["second", 0]
  }
  trigger "exit" {
    reason = "cpuid"
    number = "1-4"
    offset = 40
  }
}

fault "flicker" {
  kind   = "intermittent"
  period = 1000
  target "cache" {
    level = "l1d"
    part  = ["tag", "state"]
    sets  = "0-1"
    ways  = 3
  }
  trigger "phase" {
    name   = "vms-ready"
    offset = 5000
  }
}

fault "translation" {
  target "tlb" {
    fields  = "physical_page"
    entries = "0-7"
  }
  target "instruction" {
  }
  trigger "instruction" {
    number = "20000-29999"
  }
}

fault "null" {
  kind = "none"
  trigger "access" {
    address = hex("140100")
  }
}

fault "these" {
  weight = 2
  exactly = [
    "flip bit 5 of register rax at instruction 12345 in root",
    "stick at 0 bit 1 of memory 0x140100 at phase vms-ready",
  ]
}

sample {
  margin     = 0.05
  confidence = 0.99
  seed       = 42
}

gate {
  min_coverage_manifested = 0.5
  max_sdc                 = 0.25
  max_false_positives     = 10
  max_overhead            = 0.1
  confidence              = 0.9
}
