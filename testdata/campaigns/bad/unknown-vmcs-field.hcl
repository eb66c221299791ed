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
    fields = ["guest_rpi"]
  }
  trigger "uniform" {
  }
}
