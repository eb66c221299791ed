campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  seed = 2
}
fault "f" {
  target "register" {
    names = ["rax"]
  }
  trigger "uniform" {
  }
}
