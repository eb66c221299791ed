campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  target "cache" {
    level = "l3"
  }
  trigger "uniform" {
  }
}
