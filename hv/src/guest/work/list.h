/*
 * The workloads in the order of their numbers (the first is 1). Include it
 * with WORKLOAD(name) defined. Append only: reports carry the numbers.
 */
WORKLOAD(mcf)
WORKLOAD(bzip2)
WORKLOAD(freqmine)
WORKLOAD(canneal)
WORKLOAD(x264)
WORKLOAD(postmark)
WORKLOAD(seqread)
WORKLOAD(seqwrite)
