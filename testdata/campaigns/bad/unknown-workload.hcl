campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip"
}
fault "f" {
  target "register" {
    names = ["rax"]
  }
  trigger "uniform" {
  }
}
