campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  kind = "transiet"
  target "register" {
    names = ["rax"]
  }
  trigger "uniform" {
  }
}
