campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  target "memory" {
    symbol = ["run_queue", "run_qeue"]
  }
  trigger "uniform" {
  }
}
