campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip"
  seed     = -1
}
fault "f" {
  target "register" {
    names = ["rbq"]
  }
  trigger "uniform" {
  }
}
