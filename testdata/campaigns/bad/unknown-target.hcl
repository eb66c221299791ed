campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  target "registers" {
  }
  trigger "uniform" {
  }
}
