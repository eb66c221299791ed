campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = null
}
fault "f" {
  target "register" {
    names = ["rax"]
  }
  trigger "uniform" {
  }
}
