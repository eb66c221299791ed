campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  target "vmcs" {
    fields = ["guest"]
    vm     = ["b"]
  }
  trigger "uniform" {
  }
}
