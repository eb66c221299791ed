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
    owner  = "hv-data"
    symbol = "run_queue"
  }
  trigger "uniform" {
  }
}
