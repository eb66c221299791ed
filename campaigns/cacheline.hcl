# Bits of the caches flip: a line's data, its tag, its state. A flipped clean
# line heals when it is evicted; a modified one carries the damage to memory.
# A flipped tag makes a line answer for another address. Try
# protection = "parity" or "secded" and compare.

campaign "cacheline" {
  description = "Cache line flips: data, tags and states, without protection"
}

machine {
  cache "l1i" {
    size       = "32KiB"
    ways       = 8
    protection = "none"
  }
  cache "l1d" {
    size       = "32KiB"
    ways       = 8
    protection = "none"
  }
  cache "l2" {
    size       = "256KiB"
    ways       = 8
    protection = "none"
  }
}

hypervisor {
  detectors = ["runtime", "transition"]
  policy    = "continue"
}

vm "compress" {
  workload = "bzip2"
  seed     = 301
}

vm "video" {
  workload = "x264"
  seed     = 302
}

vm "write" {
  workload = "seqwrite"
  seed     = 303
}

fault "data" {
  weight = 4
  target "cache" {
    level = ["l1i", "l1d", "l2"]
    part  = "data"
  }
  trigger "uniform" {
    mode = "root"
  }
}

fault "tags" {
  weight = 2
  target "cache" {
    level = ["l1i", "l1d", "l2"]
    part  = ["tag", "state"]
  }
  trigger "uniform" {
    mode = "root"
  }
}

fault "translations" {
  weight = 1
  target "tlb" {
    fields = ["virtual_page", "physical_page", "permissions"]
  }
  trigger "uniform" {
    mode = "root"
  }
}

sample {
  size = 2000
  seed = 1
}

gate {
  max_tool_errors = 0
}
