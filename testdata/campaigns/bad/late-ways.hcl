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
    level = "l1d"
    ways  = "0-15"
  }
  trigger "uniform" {
  }
}
