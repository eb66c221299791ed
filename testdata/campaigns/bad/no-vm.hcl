campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
fault "f" {
  target "register" {
    names = ["rax"]
  }
  trigger "uniform" {
  }
}
