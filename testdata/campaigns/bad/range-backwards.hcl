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
    address = "0x2000-0x1000"
  }
  trigger "uniform" {
  }
}
