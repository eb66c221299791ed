campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
  policy    = "go on"
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  target "register" {
    names = ["rax"]
  }
  trigger "uniform" {
  }
}
