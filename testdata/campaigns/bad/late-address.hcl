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
    address = hex("ffffffffffff")
  }
  trigger "uniform" {
  }
}
