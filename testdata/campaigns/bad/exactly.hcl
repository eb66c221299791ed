campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  exactly = ["flip bit 5 of register rbq at instruction 7"]
}
